"""Files that are either all there or not there at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
    ``.<name>.<random>.tmp<suffix>`` behind, which is safe to delete.

    Args:
        path (str or os.PathLike): The file to write. Its folder is made if
            it does not exist; a symbolic link keeps pointing where it did.

    Raises:
        FileNotFoundError: If nothing was written to the yielded path.
    """
    # The real path, since renaming onto a link would replace the link.
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Ends in the suffix of the target: 'numpy.save' would append its own.
    name = f'.{target.name}.{secrets.token_hex(4)}.tmp{target.suffix}'
    tmp = target.with_name(name)
    try:
        mode = _mode(target, tmp)
        yield tmp
        if not tmp.is_file():
            raise FileNotFoundError(
                f"Nothing was written for '{target}'; write to the path that "
                f"'atomic_write' yields (got no file '{tmp}')"
            )
        # Some libraries write files that only their owner may read.
        tmp.chmod(mode)
        _fsync(tmp, os.O_RDWR)
        os.replace(tmp, target)
    except BaseException:
        with suppress(OSError):
            tmp.unlink()
        raise
    # The rename itself survives a power cut only once the folder is on the
    # disk. Not every system and file system can do that for a folder.
    with suppress(OSError):
        _fsync(target.parent, os.O_RDONLY)


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
