import errno

import filelock
import pytest

from pyg_darec.io.lock import lock_folder


def test_one_at_a_time(tmp_path):
    folder = tmp_path / 'new' / 'folder'
    with lock_folder(folder):
        with pytest.raises(RuntimeError, match='by another process'):
            lock_folder(folder).__enter__()
        with pytest.raises(RuntimeError, match='by another process'):
            lock_folder(folder, reentrant=True).__enter__()
    with lock_folder(folder, reentrant=True):
        with lock_folder(folder, reentrant=True):
            pass
        with pytest.raises(RuntimeError, match='by another process'):
            lock_folder(folder).__enter__()
    with lock_folder(folder):
        pass


@pytest.mark.parametrize(
    'error', [NotImplementedError(), OSError(errno.ENOLCK, 'No locks')]
)
def test_file_system_without_locks(tmp_path, monkeypatch, error):
    def acquire(self, *args, **kwargs):
        raise error

    monkeypatch.setattr(filelock.FileLock, 'acquire', acquire)
    with (
        pytest.warns(UserWarning, match='without locks'),
        lock_folder(tmp_path),
    ):
        pass


def test_a_file(tmp_path):
    (tmp_path / 'orders.csv').write_text('user,item\n')
    with (
        pytest.raises(FileExistsError, match=r"orders.csv' .* a folder"),
        lock_folder(tmp_path / 'orders.csv'),
    ):
        pass
