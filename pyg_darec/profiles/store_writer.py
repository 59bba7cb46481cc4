import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyg_darec.io.folder import MANIFEST
from pyg_darec.io.lock import lock_folder
from pyg_darec.profiles.chain_hash import chain_hash, hash_texts, id_line
from pyg_darec.profiles.embedding_store import EMBEDDINGS, IDS
from pyg_darec.profiles.journal import JOURNAL, Block, Journal, to_line
from pyg_darec.profiles.manifest import FORMAT, Manifest
from pyg_darec.profiles.store_place import (
    OtherStoreError,
    choose_place,
    remove_new,
    swap,
)

COMMIT_SECONDS = 0.5


class StoreWriter:
    r"""Writes an :class:`~pyg_darec.profiles.EmbeddingStore`, or goes on where
    the last writer stopped, as a context manager.

    Rows are appended and never changed. A line of the journal is written
    after the rows that it counts are on the disk, so that of whatever a kill
    or a power cut leaves behind, the journal tells which part is right; rows
    after it are dropped at the start. The manifest comes last of all and is
    taken away before a finished store grows.

    What overwrites a store is written to a folder within, where the next
    writer that overwrites goes on. Its files take the place of the old ones
    when all rows are there, and until then the old store stays whole.

    Args:
        folder (Path): The folder.
        settings (Manifest): What the rows shall be; with :obj:`dim` of zero,
            the first rows decide.
        wait (bool, optional): Whether to wait for another writer rather than
            to fail. (default: :obj:`False`)
        overwrite (bool, optional): Whether to replace what is in the store
            when all rows are there. (default: :obj:`False`)
    """

    def __init__(
        self,
        folder: Path,
        settings: Manifest,
        wait: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.wait = wait
        self.overwrite = overwrite
        self.manifest = settings
        self._place = folder
        self._has_header = False
        self._pending: list[bytes] = []
        self._journal_end = 0
        self._committed = time.monotonic()

    @property
    def rows(self) -> int:
        return self.manifest.rows

    def __enter__(self) -> 'StoreWriter':
        with ExitStack() as stack:
            stack.enter_context(lock_folder(self.folder, self.wait))
            self._place = choose_place(
                self.folder, self.settings, self.overwrite
            )
            self._files = stack.enter_context(ExitStack())
            # In this order: embeddings without a journal are not ours.
            self._journal = self._open(JOURNAL)
            self._embeddings = self._open(EMBEDDINGS)
            if self.settings.ids is not None:
                self._ids = self._open(IDS)
            self._recover()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._stack:
            self.commit()
            if self.rows == 0 and self._place != self.folder:
                self._files.close()
                remove_new(self.folder)

    def blocks(self) -> Iterator[Block]:
        r"""The blocks that are there already."""
        for block, place in Journal(self._place).blocks():
            if place > self._journal_end:
                return
            yield block

    def drop(self, rows: int) -> None:
        r"""Drops all rows after the first :obj:`rows`, which end a block."""
        self._recover(rows)

    def read_ids(self) -> Iterator[bytes]:
        r"""The lines of the ids that are there already."""
        with (self._place / IDS).open('rb') as file:
            yield from islice(file, self.rows)

    def append(
        self,
        ids: Sequence[Any] | None,
        texts: Sequence[str],
        x: np.ndarray,
        of: int | None = None,
    ) -> None:
        r"""Adds a block of rows.

        Args:
            ids (list, optional): The id of each row.
            texts (list): The text of each row.
            x (numpy.ndarray): The embeddings.
            of (int, optional): The number of rows that there will be.
        """
        with self._naming_the_folder():
            self._begin(x.shape[1])
            x = np.ascontiguousarray(x, self.manifest.numpy_dtype)
            rows, ids_hash = self.rows + len(x), self.manifest.ids
            if ids is not None and ids_hash is not None:
                lines = [id_line(value) for value in ids]
                ids_hash = chain_hash(lines, ids_hash)
                self._ids.write(b''.join(lines))
            digest = hashlib.sha256(x.data).hexdigest()
            self._embeddings.write(x.data)
            texts_hash = hash_texts(texts, self.manifest.texts)
            self.manifest = replace(
                self.manifest, rows=rows, ids=ids_hash, texts=texts_hash
            )
            block = Block(rows, of, digest, ids_hash, texts_hash)
            self._pending.append(to_line(block._asdict()))
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        r"""Brings all rows so far to the disk."""
        with self._naming_the_folder():
            if self._pending:
                _sync(self._embeddings)
                if self.manifest.ids is not None:
                    _sync(self._ids)
                self._journal.write(b''.join(self._pending))
                _sync(self._journal)
                self._pending.clear()
            self._committed = time.monotonic()

    def finish(self) -> None:
        r"""Writes the manifest: all rows are there. Nothing can be appended
        after it.
        """
        self.commit()
        with self._naming_the_folder():
            header = self.manifest.array_header
            self._embeddings.seek(0)
            if self._embeddings.read(len(header)) != header:
                self._embeddings.seek(0)
                self._embeddings.write(header)
                _sync(self._embeddings)
            self.manifest.save(self._place)
            if self._place != self.folder:
                self._files.close()
                swap(self.folder)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.folder}')"

    def _begin(self, dim: int) -> None:
        (self._place / MANIFEST).unlink(missing_ok=True)
        if self._has_header:
            return
        self.manifest = replace(self.settings, dim=dim)
        self._embeddings.write(self.manifest.array_header)
        header = {'format': FORMAT, **asdict(self.manifest)}
        self._pending.append(to_line(header))
        self._has_header = True

    def _recover(self, limit: int | None = None) -> None:
        self.manifest, self._has_header = self.settings, False
        self._journal_end = 0
        header = None if limit == 0 else self._read_header()
        if header is not None:
            self.manifest, self._has_header = header, True
            self._journal.seek(0)
            self._journal_end = len(self._journal.readline())
        if self.manifest.ids is not None:
            self._ids.seek(0)
        if header is not None:
            self._check_blocks(len(header.array_header), limit)
        self._cut(self._journal, self._journal_end)
        done = self.manifest
        size = len(done.array_header) if header is not None else 0
        self._cut(self._embeddings, size + done.rows * done.row_bytes)
        if done.ids is not None:
            self._cut(self._ids, self._ids.tell())

    def _read_header(self) -> Manifest | None:
        try:
            header = Journal(self._place).header()
        except ValueError as error:
            if self.overwrite:
                return None
            raise OtherStoreError(str(error)) from error
        difference = header and header.difference(self.settings)
        if difference is None:
            return header
        if self.overwrite:
            return None
        raise OtherStoreError(
            f"'{self.folder}' was begun with other settings; go on with "
            "those, choose another folder or pass 'overwrite' (got "
            f'{difference})'
        )

    def _check_blocks(self, start: int, limit: int | None) -> None:
        """Counts the rows that are as the journal says, up to the first
        that are not, or to the limit.
        """
        end = os.fstat(self._embeddings.fileno()).st_size
        self._embeddings.seek(start)
        for block, place in Journal(self._place).blocks():
            if limit is not None and block.rows > limit:
                break
            done, begin = self.manifest, self._ids_place()
            size = (block.rows - done.rows) * done.row_bytes
            if size > end - self._embeddings.tell():
                break
            raw = self._embeddings.read(size)
            ids = done.ids
            if ids is not None:
                lines = islice(self._ids, block.rows - done.rows)
                ids = chain_hash(lines, ids)
            if hashlib.sha256(raw).hexdigest() != block.x or ids != block.ids:
                if done.ids is not None:
                    self._ids.seek(begin)
                break
            self.manifest = replace(
                done, rows=block.rows, ids=ids, texts=block.texts
            )
            self._journal_end = place

    def _ids_place(self) -> int:
        return 0 if self.manifest.ids is None else self._ids.tell()

    def _cut(self, file: BinaryIO, size: int) -> None:
        if os.fstat(file.fileno()).st_size > size:
            (self._place / MANIFEST).unlink(missing_ok=True)
            file.truncate(size)
        file.seek(size)

    def _open(self, name: str) -> BinaryIO:
        path = self._place / name
        path.touch()
        file = path.open('r+b')
        self._files.callback(_close, file)
        return file

    @contextmanager
    def _naming_the_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is half-written is dropped when the folder is next opened.
            self._pending.clear()
            raise OSError(
                error.errno,
                f"'{self.folder}' cannot be written; make room or choose "
                'another folder, and run again, which goes on where this one '
                f'stopped (got {error.strerror})',
            ) from error


def _close(file: BinaryIO) -> None:
    # All that counts was flushed; the rest may not fit on the disk.
    with suppress(OSError):
        file.close()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
