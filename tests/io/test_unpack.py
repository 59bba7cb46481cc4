import os
import zipfile

import pytest

from pyg_darec.io import unpack_members
from pyg_darec.io.unpack import is_member


@pytest.fixture
def make_zip(tmp_path):
    def make_zip(members):
        path = tmp_path / 'archive.zip'
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return path

    return make_zip


def test_only_what_is_asked_for(make_zip, tmp_path):
    path = make_zip(
        {
            'data/yelp/a.pkl': b'right',
            'data/yelp/b.pkl': b'not needed',
            'data/amazon/a.pkl': b'wrong folder',
            'data/myelp/a.pkl': b'wrong folder',
            '__MACOSX/data/yelp/._a.pkl': b'wrong name',
        }
    )
    unpack_members(path, {'yelp/a.pkl': tmp_path / 'raw' / 'a.pkl'})
    assert os.listdir(tmp_path / 'raw') == ['a.pkl']
    assert (tmp_path / 'raw' / 'a.pkl').read_bytes() == b'right'


@pytest.mark.parametrize('folder', ['../../', '/', 'data/../../../'])
def test_archive_has_no_say_in_where_files_go(make_zip, tmp_path, folder):
    path = make_zip({f'{folder}yelp/a.pkl': b'content'})
    unpack_members(path, {'yelp/a.pkl': tmp_path / 'raw' / 'a.pkl'})
    assert sorted(os.listdir(tmp_path)) == ['archive.zip', 'raw']
    assert os.listdir(tmp_path / 'raw') == ['a.pkl']


@pytest.mark.parametrize(
    'members',
    [
        {'data/yelp/a.pkl': b'a'},
        {f'{f}/yelp/{n}.pkl': b'' for f in ('data', 'old') for n in 'ab'},
    ],
)
def test_missing_or_ambiguous_member(make_zip, tmp_path, members):
    path, raw = make_zip(members), tmp_path / 'raw'
    with pytest.raises(ValueError, match=r"exactly one 'yelp/[ab]\.pkl'"):
        unpack_members(
            path, {f'yelp/{n}.pkl': raw / f'{n}.pkl' for n in ('a', 'b')}
        )
    assert not raw.exists()  # not even the one that is there


def test_too_large(make_zip, tmp_path):
    path, raw = make_zip({'yelp/a.pkl': bytes(10**7)}), tmp_path / 'raw'
    with pytest.raises(ValueError, match=r"'yelp/a\.pkl'.*too large"):
        unpack_members(path, {'yelp/a.pkl': raw / 'a.pkl'}, max_bytes=10**6)
    assert not raw.exists()


@pytest.mark.parametrize('damage', ['cut off', 'not a zip', 'a flipped byte'])
def test_damaged(make_zip, tmp_path, damage):
    path, raw = make_zip({'yelp/a.pkl': os.urandom(10**5)}), tmp_path / 'raw'
    content = bytearray(path.read_bytes())
    if damage == 'cut off':
        content = content[:5000]
    elif damage == 'not a zip':
        content = b'<html>'
    else:
        content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'archive\.zip.*fetch it again'):
        unpack_members(path, {'yelp/a.pkl': raw / 'a.pkl'})
    assert not raw.exists() or os.listdir(raw) == []


def test_damaged_compression(make_zip, tmp_path):
    path = make_zip({'yelp/a.pkl': b'abcdefgh' * 10**4})
    content = bytearray(path.read_bytes())
    content[45:60] = b'\xff' * 15
    path.write_bytes(content)
    with pytest.raises(ValueError, match='fetch it again'):
        unpack_members(path, {'yelp/a.pkl': tmp_path / 'a.pkl'})
    assert os.listdir(tmp_path) == ['archive.zip']


def test_is_member(make_zip, tmp_path):
    archive = make_zip({'data/yelp/a.pkl': b'right'})
    path = tmp_path / 'file'
    for content in (b'right', b'wrong', b'longer'):
        path.write_bytes(content)
        is_same = is_member(archive, 'yelp/a.pkl', path)
        assert is_same == (content == b'right')
    with pytest.raises(ValueError, match=r"exactly one 'steam/a.pkl'"):
        is_member(archive, 'steam/a.pkl', path)
    with pytest.raises(ValueError, match='not a complete zip archive'):
        is_member(path, 'yelp/a.pkl', path)
