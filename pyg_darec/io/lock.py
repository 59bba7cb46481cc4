"""Folders that one process at a time writes to."""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

LOCK = '.lock'
_NO_LOCKS = None, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS


@contextmanager
def lock_folder(
    path: str | os.PathLike[str], wait: bool = False, reentrant: bool = False
) -> Iterator[None]:
    r"""Holds a folder, which is made if it does not exist.

    Args:
        path (str or os.PathLike): The folder.
        wait (bool, optional): Whether to wait for another process rather than
            to fail. (default: :obj:`False`)
        reentrant (bool, optional): Whether what holds it already may hold it
            once more. (default: :obj:`False`)

    Raises:
        RuntimeError: If something else holds it.
        FileExistsError: If it is a file.
        OSError: If the folder cannot be written.
    """
    folder = Path(path)
    if folder.is_file():
        raise FileExistsError(
            f"'{folder}' needs to be a folder; choose another name (got a file)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    timeout = -1 if wait else 0
    path = folder.resolve() / LOCK
    lock = filelock.FileLock(path, timeout=timeout, is_singleton=reentrant)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RuntimeError(
            f"'{folder}' is being written by another process; wait until it "
            f"ends or choose another folder (got a lock on '{LOCK}')"
        ) from None
    except (NotImplementedError, OSError) as error:
        # Some file systems of clusters know no locks.
        if getattr(error, 'errno', None) not in _NO_LOCKS:
            raise
        warnings.warn(
            f"'{folder}' is on a file system without locks; write to it by "
            'one process at a time'
        )
    try:
        yield
    finally:
        lock.release()
