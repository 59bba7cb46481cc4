import json
import os
import signal

import pytest

from pyg_darec.io.folder import (
    MANIFEST,
    _finish,
    read_folder,
    write_folder,
)


def write(folder, text='a' * 50, format='test.1', names=('x.txt', 'y.txt')):
    with write_folder(folder, format) as writer:
        writer.content['note'] = text[:3]
        for name in names:
            writer.add(name).write_text(text)


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip_and_replacement(tmp_path):
    folder = tmp_path / 'deep' / 'folder'
    write(folder)
    assert read_folder(folder, 'test.1')['note'] == 'aaa'
    write(folder, 'b' * 9, names=('y.txt', 'z.txt'))
    assert read_folder(folder, 'test.1')['note'] == 'bbb'
    assert sorted(everything(folder)) == [MANIFEST, 'y.txt', 'z.txt']


def test_same_content_same_bytes(tmp_path):
    write(tmp_path / 'a')
    write(tmp_path / 'b')
    assert everything(tmp_path / 'a') == everything(tmp_path / 'b')


def fail_midway(folder, error):
    with write_folder(folder, 'test.1') as writer:
        writer.add('x.txt').write_text('new')
        raise error


def test_failure_keeps_the_earlier_version(tmp_path):
    write(tmp_path)
    before = everything(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fail_midway(tmp_path, KeyboardInterrupt)
    assert everything(tmp_path) == before


def test_failure_of_the_first_writing_leaves_nothing(tmp_path):
    folder = tmp_path / 'new'
    with pytest.raises(ZeroDivisionError):
        fail_midway(folder, ZeroDivisionError)
    assert not folder.exists()


def test_full_disk(tmp_path):
    write(tmp_path)
    before = everything(tmp_path)

    def fill():
        with write_folder(tmp_path, 'test.1') as writer:
            writer.add('x.txt').symlink_to('/dev/full')
            writer.add('y.txt').symlink_to('/dev/full')
            (writer.written['y.txt']).write_text('a' * 10_000)

    match = 'could not be written, and any earlier version is as it was.*space'
    with pytest.raises(OSError, match=match):
        fill()
    assert everything(tmp_path) == before


class Cut(BaseException):
    """An interruption."""


@pytest.mark.parametrize('error', [Cut, OSError(28, 'No space left')])
@pytest.mark.parametrize('number', range(1, 4))
def test_cut_off_while_the_disk_is_written(
    tmp_path, monkeypatch, error, number
):
    write(tmp_path)
    before = everything(tmp_path)
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == number:
            raise error
        real(descriptor)

    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises((Cut, OSError)) as info:
        write(tmp_path, 'new')
    if info.type is OSError:
        assert 'any earlier version is as it was' in str(info.value)
    assert everything(tmp_path) == before
    assert read_folder(tmp_path, 'test.1')['note'] == 'aaa'


def test_nothing_is_flushed_between_replacements(tmp_path, monkeypatch):
    write(tmp_path)
    calls = []
    for name in ('fsync', 'replace'):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, n=name, f=real: calls.append(n) or f(*a)
        )
    write(tmp_path, 'new')
    # The files, the list of them, and each in its place.
    flushed = ['fsync'] * 3 + ['fsync', 'replace', 'fsync']
    assert calls == [*flushed, *['replace'] * 3, 'fsync']


def test_failure_in_the_middle_of_the_replacement(tmp_path, monkeypatch):
    write(tmp_path)
    real = os.replace

    def replace(source, target):
        if target.name == 'y.txt':
            raise PermissionError('in use')
        real(source, target)

    monkeypatch.setattr(os, 'replace', replace)
    with pytest.raises(OSError, match=r'new version.* next read.*in use'):
        write(tmp_path, 'new')
    with pytest.raises(OSError, match=r'cut off.*which ends it.*in use'):
        read_folder(tmp_path, 'test.1')
    monkeypatch.undo()
    assert read_folder(tmp_path, 'test.1')['note'] == 'new'
    assert sorted(everything(tmp_path)) == [MANIFEST, 'x.txt', 'y.txt']


def test_interrupted_in_the_moment_of_the_commit(tmp_path, monkeypatch):
    write(tmp_path, names=('x.txt', 'old.txt'))
    real = os.replace

    def replace(source, target):
        real(source, target)
        if target.name == '.next.json':
            raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', replace)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 'new')
    monkeypatch.undo()
    assert read_folder(tmp_path, 'test.1')['note'] == 'new'
    assert sorted(everything(tmp_path)) == [MANIFEST, 'x.txt', 'y.txt']


def test_another_process_ends_it_first(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / '.next.json').write_text('{}')
    real = type(tmp_path).read_bytes

    def read_bytes(path):
        path.unlink()
        return real(path)

    monkeypatch.setattr(type(tmp_path), 'read_bytes', read_bytes)
    _finish(tmp_path)
    monkeypatch.undo()
    assert read_folder(tmp_path, 'test.1')['note'] == 'aaa'


def test_forged_list_of_files(tmp_path):
    write(tmp_path / 'folder')
    outside = tmp_path / 'outside.txt'
    outside.touch()
    changes = {'moves': {'../outside.txt': 'x.txt'}, 'removes': ['../y.txt']}
    (tmp_path / 'folder/.next.json').write_text(json.dumps(changes))
    with pytest.raises(ValueError, match=r'x\.txt'):
        read_folder(tmp_path / 'folder', 'test.1')
    assert outside.read_text() == ''


def test_read_only_folder(tmp_path, monkeypatch):
    # Permissions do not hold back a test that runs as root.
    def mkdir(*args, **kwargs):
        raise PermissionError('Permission denied')

    monkeypatch.setattr('pathlib.Path.mkdir', mkdir)
    with pytest.raises(OSError, match=r"new' could not be.*Permission denied"):
        write(tmp_path / 'new')


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs POSIX processes')
@pytest.mark.parametrize('is_first', [True, False])
@pytest.mark.parametrize('stage', range(4))
def test_killed_at_any_time(stage, is_first, tmp_path):
    if not is_first:
        write(tmp_path, 'earlier')
    if (child := os.fork()) == 0:
        write_and_die(tmp_path, stage)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    if stage > 0:  # all that it needs is there
        assert read_folder(tmp_path, 'test.1')['note'] == 'aaa'
    elif is_first:
        with pytest.raises(ValueError, match='cut off'):
            read_folder(tmp_path, 'test.1')
    else:
        assert read_folder(tmp_path, 'test.1')['note'] == 'ear'
    write(tmp_path, 'bbb')  # the same call again needs no cleaning up
    assert read_folder(tmp_path, 'test.1')['note'] == 'bbb'
    if stage > 0:
        assert sorted(everything(tmp_path)) == [MANIFEST, 'x.txt', 'y.txt']


def write_and_die(folder, stage):
    """Dies before the file of this number takes its place."""
    replace, count = os.replace, 0 if (folder / MANIFEST).exists() else -1

    def replace_or_die(*args):
        nonlocal count
        if count == stage:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*args)
        count += 1

    os.replace = replace_or_die
    write(folder)


@pytest.mark.parametrize('format', ['test.2', 'other'])
def test_another_format(format, tmp_path):
    write(tmp_path)
    match = rf"another kind.*got format 'test.1' .* not '{format}'"
    with pytest.raises(ValueError, match=match):
        read_folder(tmp_path, format)
    with pytest.raises(ValueError, match=match):
        write(tmp_path, format=format)


def test_folder_of_something_else(tmp_path):
    (tmp_path / 'thesis.doc').write_text('precious')
    with pytest.raises(ValueError, match=r'other files.*thesis\.doc'):
        write(tmp_path)
    with pytest.raises(ValueError, match=r"manifest\.json' is missing"):
        read_folder(tmp_path, 'test.1')
    assert everything(tmp_path) == {'thesis.doc': b'precious'}
    with pytest.raises(ValueError, match=r"'.*thesis\.doc' needs to be a fol"):
        write(tmp_path / 'thesis.doc')
    with pytest.raises(FileNotFoundError, match='There is no folder'):
        read_folder(tmp_path / 'none', 'test.1')


@pytest.mark.parametrize(
    'text', ['{"name": "web app"}', '[]', '3', '{', '\0', '[' * 100_000]
)
def test_manifest_of_something_else(text, tmp_path):
    (tmp_path / MANIFEST).write_text(text)
    for call in (
        lambda: read_folder(tmp_path, 'test.1'),
        lambda: write(tmp_path),
    ):
        with pytest.raises(ValueError, match=r'damaged or of|another kind'):
            call()
    assert (tmp_path / MANIFEST).read_text() == text


def test_manifest_edited_by_hand(tmp_path):
    write(tmp_path)
    path = tmp_path / MANIFEST
    content = json.loads(path.read_text())
    content['note'] = 'bbb'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"manifest\.json' is damaged"):
        read_folder(tmp_path, 'test.1')


def test_files_are_missing_or_changed(tmp_path):
    write(tmp_path)
    (tmp_path / 'x.txt').write_text('a' * 49 + 'b')
    with pytest.raises(ValueError, match=r"x\.txt' is damaged"):
        read_folder(tmp_path, 'test.1')
    os.remove(tmp_path / 'x.txt')
    with pytest.raises(ValueError, match=r"x\.txt' is missing"):
        read_folder(tmp_path, 'test.1')
