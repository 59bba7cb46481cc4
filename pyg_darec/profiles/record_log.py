import json
import os
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock

from pyg_darec.io import atomic_write

Record = dict[str, Any]

_FLAGS = os.O_RDWR | os.O_APPEND


class RecordLog:
    r"""An append-only file of JSON records, one a line.

    A record is handed to the operating system before :meth:`append` returns,
    so that no kill of the process loses it. It is forced onto the disk on
    closing and with the first record that comes :obj:`fsync_every` seconds
    after the last time. What a kill or a full disk leaves of a last line
    is cut off. Only one process can have the file open; reading it with
    :func:`read_records` is possible at any time.

    Args:
        path (str or os.PathLike): The file; made if it does not exist.
        header (dict): The first line, which tells the file from others.
        fsync_every (float, optional): The most seconds of records that a
            power cut may cost. (default: :obj:`1.0`)

    Raises:
        RuntimeError: If another process has the file open.
        ValueError: If the file is something else or damaged.
        OSError: If it cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Record,
        fsync_every: float = 1.0,
    ) -> None:
        self.path = Path(path)
        self.fsync_every = fsync_every
        self._header = _encode(header)
        self._fd = -1
        self._synced = time.monotonic()
        lock = f'{os.path.realpath(path)}.lock'  # one lock for all its names
        self._lock = filelock.FileLock(lock, timeout=0, thread_local=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout:
            raise RuntimeError(
                f"'{self.path}' is being written by another process; wait for "
                'it to end, or choose another file (got a lock held on '
                f"'{lock}')"
            ) from None
        except OSError as error:
            raise _explain(error, self.path) from error
        try:
            self.records = self._open()
        except BaseException:
            self.close()
            raise

    def append(self, records: Iterable[Record]) -> None:
        r"""Adds records at the end, all of them or, if that fails, none.

        Raises:
            OSError: If they cannot be written.
        """
        self._write(b''.join(map(_encode, records)))
        if time.monotonic() - self._synced >= self.fsync_every:
            self._sync()

    def rewrite(self, records: Iterable[Record]) -> None:
        r"""Replaces all records in one step."""
        try:
            with atomic_write(self.path) as tmp, tmp.open('wb') as file:
                file.write(self._header)
                file.writelines(map(_encode, records))
        except OSError as error:
            raise _explain(error, self.path) from error
        os.close(self._fd)
        self._fd = os.open(self.path, _FLAGS)

    def close(self) -> None:
        if self._fd >= 0:
            self._sync()
            os.close(self._fd)
            self._fd = -1
        self._lock.release()

    def _open(self) -> list[Record]:
        try:
            self._fd = os.open(self.path, _FLAGS | os.O_CREAT, 0o666)
        except OSError as error:
            raise _explain(error, self.path) from error
        records, end, missing = _read(self.path, self._header)
        size = os.fstat(self._fd).st_size
        if end < size:
            os.ftruncate(self._fd, end)
            warnings.warn(
                f"The last line of '{self.path}' was cut off: {size - end} "
                'bytes of a record that was not written to its end'
            )
        self._write(missing)
        return records

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._fd).st_size
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise _explain(error, self.path) from error

    def _sync(self) -> None:
        os.fsync(self._fd)
        self._synced = time.monotonic()


def read_records(path: Path, header: Record) -> list[Record]:
    r"""The complete records of a file, whether or not it is being written."""
    return _read(path, _encode(header))[0]


def _read(path: Path, header: bytes) -> tuple[list[Record], int, bytes]:
    """The records, where the last complete one ends, and what is missing
    there before another can follow.
    """
    with path.open('rb') as file:
        first = file.read(len(header))
        if first != header:
            if header.startswith(first):
                return [], 0, header
            raise ValueError(
                f"'{path}' is no store of profiles, or one of another version; "
                f'choose another file (got {first!r} where {header!r} belongs)'
            )
        records, end, missing = [], len(header), b''
        for number, line in enumerate(file, start=2):
            record = _decode(line)
            if record is None:
                if not line.endswith(b'\n'):
                    break
                raise ValueError(
                    f"Line {number} of '{path}' is damaged; delete it, and its "
                    f'profile is asked for again (got {line[:60]!r})'
                )
            records.append(record)
            end += len(line)
            missing = b'' if line.endswith(b'\n') else b'\n'
    return records, end, missing


def _encode(record: Record) -> bytes:
    # ASCII: no reader can take a character of a text for the end of a line.
    return json.dumps(record).encode() + b'\n'


def _decode(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _explain(error: OSError, path: Path) -> OSError:
    return OSError(
        error.errno,
        f'Profiles cannot be written ({error.strerror}); free some space or '
        'choose another folder, and start again: all before is stored',
        str(path),
    )
