import json
from pathlib import Path

import pytest
from cli.conftest import run

from pyg_darec import evaluate
from pyg_darec.train.run_folder import load_run


def test_evaluate(trained: Path, capsys, tmp_path: Path) -> None:
    folder = trained / 'runs/shop'
    run('evaluate', str(folder), '--ks', '5', '10')
    expected = evaluate(*load_run(folder), ks=(5, 10))
    printed = dict(
        line.split() for line in capsys.readouterr().out.splitlines()
    )
    assert printed == {k: f'{v:.4f}' for k, v in expected.items()}
    content = json.loads((folder / 'metrics.json').read_text())
    assert content['test'] == pytest.approx(expected)
    assert 'val' in content


def test_data_that_was_moved(trained: Path, capsys, tmp_path: Path) -> None:
    moved = tmp_path / 'moved'
    (trained / 'shop').rename(moved)
    try:
        run('evaluate', str(trained / 'runs/shop'), '--data', str(moved))
    finally:
        moved.rename(trained / 'shop')
