import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pyg_darec.io import atomic_write


def test_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / 'sub' / 'folder' / 'file.txt'
    for text in ('first', 'second'):
        with atomic_write(path) as tmp:
            assert tmp.parent == path.parent
            tmp.write_text(text)
        assert path.read_text() == text
        assert os.listdir(path.parent) == ['file.txt']


def test_takes_str_and_keeps_the_suffix(tmp_path):
    with atomic_write(str(tmp_path / 'x.npy')) as tmp:
        np.save(tmp, np.arange(3))
    assert np.load(tmp_path / 'x.npy').tolist() == [0, 1, 2]


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_write('file') as tmp:
        tmp.write_text('a')
    assert os.listdir(tmp_path) == ['file']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_earlier_file(tmp_path, error):
    path = tmp_path / 'file'
    path.write_text('earlier')

    def write():
        with atomic_write(path) as tmp:
            tmp.write_text('half')
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == 'earlier'
    assert os.listdir(tmp_path) == ['file']


@pytest.mark.skipif(
    not os.path.exists('/dev/full'), reason='needs a device that is full'
)
def test_real_full_disk(tmp_path):
    path = tmp_path / 'file'
    path.write_text('earlier')

    def write():
        with atomic_write(path) as tmp:
            tmp.symlink_to('/dev/full')
            tmp.write_text('a' * 100_000)

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write()
    assert path.read_text() == 'earlier'
    assert os.listdir(tmp_path) == ['file']


def test_full_disk_that_shows_at_fsync(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_text('earlier')

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fsync)
    with (
        pytest.raises(OSError, match='No space left'),
        atomic_write(path) as tmp,
    ):
        tmp.write_text('late')
    assert path.read_text() == 'earlier'
    assert os.listdir(tmp_path) == ['file']


def test_nothing_written(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="'atomic_write' yields"),
        atomic_write(tmp_path / 'file'),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / 'target', tmp_path / 'link'
    target.write_text('earlier')
    link.symlink_to(target)
    with atomic_write(link) as tmp:
        tmp.write_text('new')
    assert link.is_symlink()
    assert target.read_text() == 'new'


def test_killed_while_writing(tmp_path):
    path = tmp_path / 'file'
    path.write_text('0' * 1000)
    code = (
        'import sys\n'
        'from pyg_darec.io import atomic_write\n'
        'n = 0\n'
        'while True:\n'
        '    n = (n + 1) % 10\n'
        '    with atomic_write(sys.argv[1]) as tmp:\n'
        '        tmp.write_text(str(n) * 1000)\n'
        '    print(n, flush=True)\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    text = path.read_text()
    assert text == text[0] * 1000


@pytest.mark.skipif(os.name != 'posix', reason='needs POSIX permissions')
def test_permissions(tmp_path):
    path, plain = tmp_path / 'file', tmp_path / 'plain'
    plain.touch()
    for mode in (plain.stat().st_mode, 0o100640):
        if mode == 0o100640:
            path.chmod(mode)
        with atomic_write(path) as tmp:
            tmp.touch(0o600)
        assert path.stat().st_mode == mode


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path):
    path = tmp_path / 'file.txt'
    names = ['.file.txt.0123abcd.tmp.txt', '.file.txt.0123abce.tmp.txt']
    others = ['.file.txt.0123abcd.tmp.npy', '.other.txt.0123abcd.tmp.txt']
    for name in names + others:
        (tmp_path / name).touch()
    days_ago = time.time() - 3 * 86_400
    for name in [names[0], *others]:
        os.utime(tmp_path / name, (days_ago, days_ago))
    with atomic_write(path) as tmp:
        tmp.write_text('a')
    assert sorted(os.listdir(tmp_path)) == sorted(
        ['file.txt', names[1], *others]
    )
