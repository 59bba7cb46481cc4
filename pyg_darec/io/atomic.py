"""Files that are either all there or not there at all."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# No file is so long in writing, in seconds.
_STALE = 86_400


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    r"""Replaces a file in one step, however long it takes to write.

    Yields a path in the same folder to write to. When the block ends without
    an error, what was written there is flushed to the disk and takes the
    place of :obj:`path`; a reader sees the earlier file or the new one, never
    a part. Permissions stay as they were. When the block fails, on a full
    disk for example, the temporary file is removed and the earlier one is as
    it was.

    .. code-block:: python

        with atomic_write('run/model.safetensors') as tmp:
            save_file(state_dict, tmp)

    A process that is killed inside the block can leave a hidden file
    ``.<name>.<random>.tmp<suffix>`` behind, which is safe to delete; the next
    writing of the file does so once it is a day old.

    Args:
        path (str or os.PathLike): The file to write. Its folder is made if
            it does not exist; a symbolic link keeps pointing where it did.

    Raises:
        FileNotFoundError: If nothing was written to the yielded path.
    """
    file = PendingFile(path)
    try:
        yield file.tmp
        file.flush()
        file.replace()
    finally:
        file.discard()
    flush_folder(file.target.parent)


class PendingFile:
    r"""A file that was written, or not yet, and waits to take its place;
    :func:`atomic_write` in steps, for several files at once.

    Args:
        path (str or os.PathLike): The file to replace.

    Attributes:
        tmp (Path): The path to write to.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # The real path, since renaming onto a link would replace the link.
        self.target = Path(os.path.realpath(path))
        self.target.parent.mkdir(parents=True, exist_ok=True)
        # Ends in the suffix of the target: 'numpy.save' would append its own.
        start, end = f'.{self.target.name}.', f'.tmp{self.target.suffix}'
        self._remove_stale(start, end)
        self.tmp = self.target.with_name(start + secrets.token_hex(4) + end)
        self._mode = _mode(self.target, self.tmp)

    def flush(self) -> None:
        r"""All that can be slow or fail on a full disk.

        Raises:
            FileNotFoundError: If nothing was written.
        """
        if not self.tmp.is_file():
            raise FileNotFoundError(
                f"Nothing was written for '{self.target}'; write to the path "
                f"that 'atomic_write' yields (got no file '{self.tmp}')"
            )
        # Some libraries write files that only their owner may read.
        self.tmp.chmod(self._mode)
        _fsync(self.tmp, os.O_RDWR)

    def replace(self) -> None:
        r"""Takes the place of the earlier file."""
        os.replace(self.tmp, self.target)

    def discard(self) -> None:
        r"""Removes what has not taken its place."""
        with suppress(OSError):
            self.tmp.unlink()

    def _remove_stale(self, start: str, end: str) -> None:
        """What processes that were killed have left."""
        pattern = f'{re.escape(start)}[0-9a-f]{{8}}{re.escape(end)}'
        with suppress(OSError), os.scandir(self.target.parent) as entries:
            for entry in entries:
                if re.fullmatch(pattern, entry.name):
                    age = time.time() - entry.stat().st_mtime
                    if age > _STALE:
                        os.unlink(entry)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.target}')"


def flush_folder(folder: Path) -> None:
    r"""Lets a power cut not undo what was renamed, as far as a system and its
    file system can do that.
    """
    with suppress(OSError):
        _fsync(folder, os.O_RDONLY)


def _mode(target: Path, tmp: Path) -> int:
    """The permissions of the earlier file, or those of any new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    tmp.touch()
    mode = tmp.stat().st_mode & 0o777
    tmp.unlink()
    return mode


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
