import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_darec.io.folder import MANIFEST
from pyg_darec.io.json_lines import read_lines
from pyg_darec.profiles.chain_hash import hash_ids
from pyg_darec.profiles.journal import JOURNAL, Journal
from pyg_darec.profiles.manifest import Manifest

EMBEDDINGS = 'embeddings.npy'
IDS = 'ids.jsonl'


class EmbeddingStore:
    r"""A folder of embeddings that
    :func:`~pyg_darec.profiles.encode_profiles` wrote.

    ``embeddings.npy`` is an ordinary array for :func:`numpy.load`,
    ``ids.jsonl`` has the id of each row, ``manifest.json`` says what the rows
    are, and ``journal.log`` has the hash of each block of rows.

    .. code-block:: python

        store = EmbeddingStore('embeddings/user')
        print(store.manifest)
        x = store.tensor(lazy=True)

    Args:
        folder (str or os.PathLike): The folder.

    Raises:
        FileNotFoundError: If there is no store in the folder.
        ValueError: If the store is not finished, or a file is damaged or
            incomplete.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            self._raise_no_manifest()
        self.manifest = Manifest.load(self.folder)
        self._check_array()

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def dim(self) -> int:
        return self.manifest.dim

    @property
    def ids(self) -> list[Any] | None:
        r"""The id of each row, if rows have ids.

        Raises:
            ValueError: If ``ids.jsonl`` is not what was written.
        """
        if self.manifest.ids is None:
            return None
        path = self.folder / IDS
        try:
            ids = read_lines(path)
            is_whole = hash_ids(ids) == self.manifest.ids
        except (OSError, TypeError) as error:
            raise ValueError(
                f"'{path}' cannot be read as ids; encode again (got {error})"
            ) from error
        if not is_whole or len(ids) != len(self):
            raise ValueError(
                f"'{path}' is damaged; call 'encode_profiles' again, which "
                f'writes it anew (got {len(ids)} ids that are not the '
                f'{len(self)} that were written)'
            )
        return ids

    def tensor(self, lazy: bool = False) -> Tensor:
        r"""All rows.

        Args:
            lazy (bool, optional): If set to :obj:`True`, the tensor is the
                file, mapped into memory: rows are read when they are first
                used and given back when memory is short. What is written to
                it stays in memory. The content of the file is not checked.
                (default: :obj:`False`)

        Raises:
            ValueError: If rows are not what was written.
        """
        path = self.folder / EMBEDDINGS
        if lazy:
            # Copy on write: a read-only mapping would end the process where
            # somebody writes to the tensor.
            return torch.from_numpy(np.load(path, mmap_mode='c'))
        manifest = self.manifest
        array = np.empty((len(self), self.dim), manifest.numpy_dtype)
        with path.open('rb') as file:
            file.seek(len(manifest.array_header))
            for first, last, digest in self._blocks():
                part = array[first:last]
                size = file.readinto(part.view(np.uint8).data)
                if size != part.nbytes or _digest(part) != digest:
                    raise ValueError(
                        f"'{path}' is damaged in rows {first} to {last - 1}; "
                        "call 'encode_profiles' again, which makes them anew "
                        '(got rows that are not those that were written)'
                    )
        return torch.from_numpy(array)

    def verify(self) -> None:
        r"""Compares every row and every id with what was written.

        Raises:
            ValueError: If something differs, naming the file.
        """
        self.tensor()
        _ = self.ids

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}('{self.folder}', rows={len(self)}, "
            f'dim={self.dim}, encoder={self.manifest.encoder["name"]!r})'
        )

    def _blocks(self) -> Iterator[tuple[int, int, str]]:
        path, done = self.folder / JOURNAL, None
        journal = Journal(self.folder)
        header = journal.header() if path.is_file() else None
        if header is not None and header.difference(self.manifest) is None:
            first = 0
            for block, _ in journal.blocks():
                if block.rows <= len(self):
                    yield first, block.rows, block.x
                first, done = block.rows, block
        wanted = len(self), self.manifest.ids, self.manifest.texts
        if not path.is_file():
            raise ValueError(
                f"'{path}' is missing, so that nothing tells whether rows are "
                "right; bring it back, or call 'encode_profiles' again with "
                f"'overwrite=True' (got 0 of {len(self)} rows)"
            )
        if done is None or (done.rows, done.ids, done.texts) != wanted:
            raise ValueError(
                f"'{path}' is damaged, so that nothing tells whether rows are "
                "right; call 'encode_profiles' again (got "
                f'{0 if done is None else done.rows} of {len(self)} rows)'
            )

    def _check_array(self) -> None:
        path, manifest = self.folder / EMBEDDINGS, self.manifest
        header = manifest.array_header
        size = len(header) + manifest.rows * manifest.row_bytes
        found = path.stat().st_size if path.is_file() else 0
        if found != size:
            raise ValueError(
                f"'{path}' is not complete; call 'encode_profiles' again, "
                f'which adds what is missing (got {found} bytes, not {size})'
            )
        with path.open('rb') as file:
            start = file.read(len(header))
        if start != header:
            raise ValueError(
                f"'{path}' does not begin as '{MANIFEST}' says, with an array "
                f'of shape {(manifest.rows, manifest.dim)}; call '
                f"'encode_profiles' again (got {start[:60]!r})"
            )

    def _raise_no_manifest(self) -> None:
        if not (self.folder / JOURNAL).is_file():
            raise FileNotFoundError(
                f"'{self.folder}' holds no embeddings; make them with "
                f"'encode_profiles' (got no '{MANIFEST}')"
            )
        rows, of = 0, None
        for block, _ in Journal(self.folder).blocks():
            rows, of = block.rows, block.of
        missing = 'some' if of is None else f'{of - rows} of {of}'
        raise ValueError(
            f"'{self.folder}' is not finished, {missing} rows are missing; "
            "call 'encode_profiles' again with the same arguments to go on "
            f'(got {rows} rows)'
        )


def _digest(x: np.ndarray) -> str:
    return hashlib.sha256(x.data).hexdigest()
