from pathlib import Path

import pandas as pd
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
