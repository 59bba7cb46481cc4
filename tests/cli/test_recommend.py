from pathlib import Path

import pandas as pd
from cli.conftest import run

from pyg_darec.cli.main import main


def test_names(trained: Path, capsys) -> None:
    run('recommend', str(trained / 'runs/shop'), '--users', '1001', '--k=3')
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == 'user 1001'
    assert len(lines) == 3
    assert lines[0].startswith('   1. ')
    # 1001 is a customer of lamps.
    assert all('Desk lamp no. ' in line for line in lines)


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
