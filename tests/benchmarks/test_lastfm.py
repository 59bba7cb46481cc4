from pathlib import Path

import numpy as np
import pytest
from lastfm import load_lastfm

from pyg_darec.graph import EDGE_TYPE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight listeners of all of eight artists, and one of an artist only."""
    pairs = [(u, a) for u in range(2, 10) for a in range(11, 19)] + [(2, 50)]
    artists = [*range(11, 19), 50]
    rows = {
        'user_artists.dat': [
            'userID\tartistID\tweight',
            *[f'{u}\t{a}\t7' for u, a in pairs],
        ],
        'artists.dat': [
            'id\tname\turl\tpictureURL',
            *[f'{a}\tThe "{a}\thttp://x\t' for a in artists],
        ],
        'user_taggedartists.dat': [
            'userID\tartistID\ttagID\tday\tmonth\tyear',
            '2\t11\t2\t1\t4\t2009',
            '3\t11\t1\t1\t4\t2009',
            '4\t11\t1\t1\t4\t2009',
        ],
    }
    for name, lines in rows.items():
        (tmp_path / name).write_text('\n'.join(lines) + '\n', 'utf-8')
    tags = 'tagID\ttagValue\n1\tfrançais\n2\tpop\n'
    (tmp_path / 'tags.dat').write_bytes(tags.encode('latin-1'))
    return tmp_path


def test_load_lastfm(root: Path, tmp_path: Path) -> None:
    data = load_lastfm(root)
    assert data['item'].id == list(range(11, 19))
    assert data['item'].profile[0] == 'The "11: français, pop'
    assert data['item'].profile[1] == 'The "12'
    assert 'llm_x' not in data['item']
    user, item = data[EDGE_TYPE].edge_index
    for n, text in enumerate(data['user'].profile):
        mine = set(item[user == n].tolist())
        assert 0 < len(mine) < 8
        for i, name in enumerate(data['item'].profile):
            assert (name in text) == (i in mine)

    def encoder(texts: list[str]) -> np.ndarray:
        return np.array([[len(text), 1.0] for text in texts])

    data = load_lastfm(root, encoder=encoder)
    assert data['user'].llm_x.shape == data['item'].llm_x.shape == (8, 2)


def test_bad_files(root: Path) -> None:
    (root / 'artists.dat').write_text('id\tname\n11\tx\n')
    with pytest.raises(ValueError, match=r'artists\.dat.*got none of id 12'):
        load_lastfm(root)
    (root / 'artists.dat').write_text('id\ttitle\n11\tx\n')
    with pytest.raises(ValueError, match=r'artists\.dat.*columns'):
        load_lastfm(root)
    (root / 'artists.dat').unlink()
    with pytest.raises(FileNotFoundError, match=r'artists\.dat'):
        load_lastfm(root)
