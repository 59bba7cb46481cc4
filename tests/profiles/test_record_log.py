import errno
import json
import multiprocessing
import os
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.profiles.record_log import RecordLog, read_records

HEADER = {'format': 'test', 'version': 1}
RECORDS = [{'id': n, 'text': '日\n\u2028\ud800'} for n in range(3)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'sub' / 'log.jsonl'


@pytest.fixture
def full(path):
    """A closed log with all records."""
    log = RecordLog(path, HEADER)
    log.append(RECORDS[:2])
    log.append(RECORDS[2:])
    log.close()
    return path


def reopen(path):
    log = RecordLog(path, HEADER)
    records = log.records
    log.close()
    return records


def test_keeps_records_in_order(full):
    assert reopen(full) == read_records(full, HEADER) == RECORDS
    lines = full.read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [HEADER, *RECORDS]


def test_records_are_readable_while_open(path):
    log = RecordLog(path, HEADER)
    log.append(RECORDS[:1])
    assert read_records(path, HEADER) == RECORDS[:1]
    log.close()


def test_cut_off_at_any_byte(full):
    """What a kill leaves is repaired, and goes on as if nothing had been."""
    content = full.read_bytes()
    lines = content.splitlines(keepends=True)
    for size in range(len(content)):
        full.write_bytes(content[:size])
        before = read_records(full, HEADER)
        with pytest.warns() if _is_torn(lines, size) else _nothing():
            log = RecordLog(full, HEADER)
        assert log.records == before == RECORDS[: len(before)]
        log.append(RECORDS[len(before) :])
        log.close()
        assert full.read_bytes() == content


def _is_torn(lines, size):
    whole = 0
    for line in lines:
        if size in (whole, whole + len(line) - 1, whole + len(line)):
            # A line that lacks no more than its end is complete, but for the
            # header.
            return size == len(lines[0]) - 1 and whole == 0
        whole += len(line)
        if size < whole:
            return True
    return False


class _nothing:
    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass


@settings(max_examples=40)
@given(st.binary(max_size=200), st.sampled_from([b'', None]))
def test_any_bytes(tmp_path_factory, junk, start):
    """Are a log, or refused and left as they are."""
    path = tmp_path_factory.mktemp('junk') / 'log'
    first = json.dumps(HEADER).encode() + b'\n' if start is None else start
    path.write_bytes(first + junk)
    try:
        with _ignore_warnings():
            records = reopen(path)
    except ValueError:
        assert path.read_bytes() == first + junk
    else:
        assert all(isinstance(record, dict) for record in records)
        assert reopen(path) == records


def _ignore_warnings():
    import warnings

    return warnings.catch_warnings(action='ignore')


@pytest.mark.parametrize(
    'line', [b'{"id": 1', b'\xff\xfe', b'[1]', b'', b'\x00' * 9, b'[' * 10**5]
)
def test_damage_in_the_middle_is_named_and_left_alone(full, line):
    lines = full.read_bytes().split(b'\n')
    lines[3] = line
    full.write_bytes(b'\n'.join(lines))
    with pytest.raises(ValueError, match=r"Line 4 of '.*log.jsonl' is damaged"):
        RecordLog(full, HEADER)
    assert full.read_bytes() == b'\n'.join(lines)
    lines.pop(3)
    full.write_bytes(b'\n'.join(lines))
    assert reopen(full) == RECORDS[:2]


@pytest.mark.parametrize('content', ['user,item\n1,2', 'x', '{"format": 1}\n'])
def test_other_files_are_refused_and_left_alone(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match='is no store of profiles'):
        RecordLog(path, HEADER)
    assert path.read_text() == content


def test_two_at_once(path, full):
    log = RecordLog(path, HEADER)
    link = path.with_name('link')
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(RuntimeError, match=f"'{name}' is being written by"):
            RecordLog(name, HEADER)
    process = multiprocessing.get_context('fork').Process(
        target=_open_elsewhere, args=(path,)
    )
    process.start()
    process.join()
    assert process.exitcode == 3
    log.append(RECORDS[:1])
    log.close()
    assert reopen(path) == [*RECORDS, RECORDS[0]]


def _open_elsewhere(path):
    try:
        RecordLog(path, HEADER)
    except RuntimeError:
        os._exit(3)


def test_disk_full_in_the_middle_of_a_record(full):
    """A real short write: the limit of a file's size lies within a line."""
    content = full.read_bytes()
    log = RecordLog(full, HEADER)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) + 7, limits[1]))
    try:
        with pytest.raises(OSError, match=r'cannot be written.*free') as info:
            log.append(RECORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert info.value.errno == errno.EFBIG
    assert info.value.filename == str(full)
    assert full.read_bytes() == content
    log.append(RECORDS[:1])
    log.close()
    assert reopen(full) == [*RECORDS, RECORDS[0]]


def test_disk_full_while_rewriting(full):
    content = full.read_bytes()
    log = RecordLog(full, HEADER)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError, match='cannot be written'):
            log.rewrite(RECORDS[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert full.read_bytes() == content
    log.append(RECORDS[:1])
    log.close()
    assert reopen(full) == [*RECORDS, RECORDS[0]]


def test_folder_that_cannot_be_written():
    # Holds for root as well, whom permissions do not stop.
    with pytest.raises(OSError, match=r'cannot be written .*another folder'):
        RecordLog('/proc/self/profiles/log.jsonl', HEADER)


def test_rewrite(full):
    log = RecordLog(full, HEADER)
    log.rewrite(RECORDS[::-1])
    log.append(RECORDS[:1])
    log.close()
    assert reopen(full) == [*RECORDS[::-1], RECORDS[0]]


def test_records_are_forced_onto_the_disk(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, 'fsync', synced.append)
    log = RecordLog(path, HEADER, fsync_every=1e9)
    log.append(RECORDS)
    assert len(synced) == 0
    log.fsync_every = 0.0
    log.append(RECORDS)
    log.append(RECORDS)
    assert len(synced) == 2
    log.close()
    assert len(synced) == 3
