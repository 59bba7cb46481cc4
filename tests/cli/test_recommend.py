from pathlib import Path

import pandas as pd
import pytest
from cli.conftest import PREPARE, TRAIN, run

from pyg_darec.cli.main import main
from pyg_darec.datasets.folder import load_data, save_data


def test_names(trained: Path, capsys) -> None:
    run('recommend', str(trained / 'runs/shop'), '--users', '1001', '--k=3')
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == 'user 1001'
    assert len(lines) == 3
    assert lines[0].startswith('   1. ')
    # 1001 is a customer of lamps.
    assert all('Desk lamp no. ' in line for line in lines)
    # Once, however often it is named.
    run(
        'recommend',
        str(trained / 'runs/shop'),
        '--users',
        *['1001', '1001'],
        '--k=3',
    )
    assert capsys.readouterr().out.splitlines() == [first, *lines]


def test_csv(trained: Path, capsys, tmp_path: Path) -> None:
    path = tmp_path / 'out' / 'best.csv'
    run('recommend', str(trained / 'runs/shop'), '--k=2', f'--output={path}')
    table = pd.read_csv(path)
    assert list(table) == ['user', 'rank', 'item', 'name', 'score']
    assert len(table) == 2 * 45
    assert capsys.readouterr().out == f'{path}: 90 recommendations\n'


def test_unknown_user(trained: Path, capsys) -> None:
    assert main(['recommend', str(trained / 'runs/shop'), '--users', '7']) == 1
    assert "'7'" in capsys.readouterr().err


def test_no_text_moves_the_cursor(shop: Path, capsys) -> None:
    run('prepare', 'orders.csv', 'shop', '--user=customer', '--item=product')
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    data = load_data('shop')
    data['item'].name = ['a\nb\x1b[2J'] * 36
    save_data(data, 'shop')
    capsys.readouterr()
    run('recommend', 'runs/shop', '--users', '1001', '--k', '2')
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line[4:].startswith('. a b [2J (P') for line in lines)


def test_nothing_is_left(shop: Path, capsys) -> None:
    """The first customer has had everything."""
    orders = Path('orders.csv').read_text()
    items = ''.join(f'\n7,P{n:02d},2024-01-01' for n in range(36))
    Path('orders.csv').write_text(orders + items)
    # All but the newest interactions, which are the other customers'.
    run(*PREPARE, '--split', 'temporal')
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    capsys.readouterr()
    run('recommend', 'runs/shop', '--users', '7', '1000', '--k', '1')
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        *('user 7', '      nothing is left to recommend', 'user 1000')
    ]
    assert len(lines) == 4


@pytest.mark.parametrize('flags', [(), ('--keep-held-out',)])
def test_what_was_bought_is_not_recommended(
    trained: Path, capsys, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    path = tmp_path / 'best.csv'
    run('recommend', str(trained / 'runs/shop'), f'--output={path}', *flags)
    table = pd.read_csv(path)
    orders = pd.read_csv(trained / 'orders.csv')
    orders = orders.set_axis(['user', 'item', 'date'], axis=1)
    held_out = orders.drop_duplicates(['user', 'item'])
    assert (len(table.merge(held_out)) > 0) is bool(flags)
    assert 'warning' not in capsys.readouterr().err


def test_all_is_trained_on(shop: Path, capsys) -> None:
    run(*PREPARE, '--ratios', '1', '0', '0')
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    run('recommend', 'runs/shop', '--users', '1000', '--k', '1')
    out, err = capsys.readouterr()
    assert 'epoch 1 of 1 is kept' in out
    assert out.count('. ') >= 1
    assert 'warning' not in err


def test_users_without_training_interactions(shop: Path, capsys) -> None:
    orders = Path('orders.csv').read_text()
    new = ''.join(f'\n{n},P{n:02d},2024-02-01' for n in range(1, 30))
    Path('orders.csv').write_text(orders + new)
    run(*PREPARE, '--split', 'temporal')
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    capsys.readouterr()
    run('recommend', 'runs/shop', '--output', 'best.csv')
    err = capsys.readouterr().err
    assert 'warning: 29 of 74 users have no training interactions' in err
    assert '(got 1, 2, 3, ...)' in err
    run('recommend', 'runs/shop', '--users', '5', '1000')
    assert 'warning: 1 of 2 users' in (err := capsys.readouterr().err)
    assert '(got 5)' in err
    run('recommend', 'runs/shop', '--users', '1000')
    assert capsys.readouterr().err == ''


def test_ids_of_a_file(shop: Path, capsys) -> None:
    orders = Path('orders.csv').read_text()
    for user in (1000, 1001):
        orders = orders.replace(f'\n{user},', f'\n-{user}x,')
    Path('orders.csv').write_text(orders)
    run(*PREPARE)
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    Path('ids.txt').write_bytes('\ufeff-1001x\r\n\r\n-1000x\n'.encode())
    capsys.readouterr()
    run('recommend', 'runs/shop', '--users-file', 'ids.txt', '--k=1')
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ['user -1001x', 'user -1000x']
    argv = ['--users=-1000x', '--users-file', 'ids.txt', '--k=1']
    run('recommend', 'runs/shop', *argv)
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ['user -1000x', 'user -1001x']


@pytest.mark.parametrize('content', [b'\n', b'\xff\xfe', None])
def test_no_file_of_ids(trained: Path, tmp_path, capsys, content) -> None:
    path = tmp_path / 'ids.txt'
    if content is not None:
        path.write_bytes(content)
    argv = ['recommend', str(trained / 'runs/shop'), '--users-file', str(path)]
    assert main(argv) == 1
    assert f"'{path}'" in capsys.readouterr().err


def test_no_room(trained: Path, tmp_path, monkeypatch, capsys) -> None:
    def fail(*_, **__):
        raise OSError(27, 'File too large')

    monkeypatch.setattr(pd.DataFrame, 'to_csv', fail)
    path = tmp_path / 'best.csv'
    argv = ['recommend', str(trained / 'runs/shop'), '--output', str(path)]
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert f"error: '{path}' cannot be written" in err
    assert '(got [Errno 27] File too large)' in err
    assert list(tmp_path.iterdir()) == []


def test_another_format(trained: Path, capsys, tmp_path: Path) -> None:
    path = tmp_path / 'best.parquet'
    words = ['recommend', str(trained / 'runs/shop'), f'--output={path}']
    assert main(words) == 1
    assert "ends in '.csv'" in capsys.readouterr().err
    assert not path.exists()


NEW = ['--new-items=arrivals.csv', '--item-id=product', '--encoder=tfidf']


@pytest.fixture
def served(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def test_new_items(served: Path, capsys, tmp_path: Path) -> None:
    path, known = tmp_path / 'best.csv', Path('arrivals.csv')
    new = tmp_path / 'new.csv'
    new.write_text(f'{known.read_text(encoding="utf-8")}\nT3,', 'utf-8')
    command = ['recommend', 'runs/shop', *NEW, '--dim=12', '--new-items']
    command.append(str(new))
    run(*command, '--k=38', f'--output={path}')
    assert '1 of 3 new items' in capsys.readouterr().err
    table = pd.read_csv(path)
    new = table[table['item'].isin(['T1', 'T2'])]
    assert len(new) == 2 * 45
    assert set(new['name']) == {'Desk lamp no. 99, 🎁', 'Wool scarf no. 99'}
    # Customers of lamps get the lamp first, and those of scarves the scarf.
    first = new.loc[new.groupby('user')['rank'].idxmin()]
    kinds = (first['user'] - 1000) % 3
    assert set(first['item'][kinds == 1]) == {'T1'}
    assert set(first['item'][kinds == 2]) == {'T2'}
    run(*command, '--users=1001', '--k=38')
    assert 'Desk lamp no. 99, 🎁 (T1)' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('flags', 'words'),
    [
        ((), "'encoder' needs to be the one"),
        (('--dim=11',), "'encoder' needs to be the one"),
        (('--dim=12', '--name=nobody'), "'nobody'"),
        (('--dim=12', '--item-id=nobody'), "'nobody'"),
        (('--dim=12', '--items-sep=;'), '--items-sep'),
    ],
)
def test_wrong_new_items(
    served: Path, capsys, flags: tuple[str, ...], words: str
) -> None:
    assert main(['recommend', 'runs/shop', *NEW, *flags]) == 1
    assert words in capsys.readouterr().err


def test_new_items_without_a_text(served: Path, capsys, tmp_path: Path) -> None:
    new = tmp_path / 'new.csv'
    new.write_text('product,title\nT8,\nT9, ')
    command = ['recommend', 'runs/shop', *NEW, f'--new-items={new}']
    assert main(command) == 1
    assert '(got none for 2 of them)' in capsys.readouterr().err


def test_no_new_items(served: Path, capsys) -> None:
    known = ['--new-items=products.csv', *NEW[1:], '--dim=12']
    assert main(['recommend', 'runs/shop', *known]) == 1
    assert '(got 36 known ones)' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['recommend', 'runs/shop', *NEW[1:]])
    idle = 'these arguments need --new-items: --item-id, --encoder'
    assert idle in capsys.readouterr().err


def test_new_items_for_a_model_without_texts(shop: Path, capsys) -> None:
    run(*PREPARE)
    run(*TRAIN, '--epochs', '1', '--aligner', 'none')
    assert main(['recommend', 'runs/shop', *NEW]) == 1
    assert "wrap it in 'DaRecAlign'" in capsys.readouterr().err
