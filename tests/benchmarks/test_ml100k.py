from pathlib import Path

import pytest
from ml100k import load_ml100k

from pyg_darec.graph import EDGE_TYPE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight fans of all of eight films, and a ninth whom nobody likes."""
    ratings = [f'{u}\t{i}\t4\t0' for u in range(8) for i in range(11, 19)]
    ratings += [f'{u}\t19\t3\t0' for u in range(8)]
    films = [f'{i}\tFilm "{i}, The\t1995\tFilm-Noir War' for i in range(11, 20)]
    head = 'user_id:token\titem_id:token\trating:float\ttimestamp:float'
    _write(tmp_path / 'ml-100k.inter', [head, *ratings])
    head = (
        'item_id:token\tmovie_title:token_seq\trelease_year:token'
        '\tclass:token_seq'
    )
    _write(tmp_path / 'ml-100k.item', [head, *films])
    return tmp_path


def _write(path: Path, lines: list[str]) -> None:
    path.write_text('\n'.join(lines) + '\n', 'utf-8')


def test_load_ml100k(root: Path) -> None:
    data = load_ml100k(root)
    assert data['item'].id == [str(i) for i in range(11, 19)]
    assert data['item'].profile[0] == 'Film "11, The (1995): Film-Noir War'
    user, item = data[EDGE_TYPE].edge_index
    for n, text in enumerate(data['user'].profile):
        assert text.startswith('Fan of: ')
        mine = set(item[user == n].tolist())
        assert 0 < len(mine) < 8
        for i, name in enumerate(data['item'].profile):
            assert (name in text) == (i in mine)


def test_bad_files(root: Path) -> None:
    path = root / 'ml-100k.item'
    lines = path.read_text('utf-8').splitlines()
    _write(path, [line for line in lines if not line.startswith('12')])
    with pytest.raises(ValueError, match=r'ml-100k\.item.*got none of id 12'):
        load_ml100k(root)
    _write(path, ['item_id:token', '11'])
    with pytest.raises(ValueError, match=r'ml-100k\.item.*columns'):
        load_ml100k(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'ml-100k\.item'):
        load_ml100k(root)
