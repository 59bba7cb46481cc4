import shutil
from pathlib import Path

import torch
from cli.conftest import run

from pyg_darec.cli.main import main


def test_versions(capsys) -> None:
    run('info')
    out = capsys.readouterr().out
    assert f'torch {torch.__version__}' in out
    assert out.startswith('pyg-darec ')


def test_data_folder(trained: Path, capsys) -> None:
    run('info', str(trained / 'shop'))
    out = capsys.readouterr().out
    assert 'num_users=45, num_items=36' in out
    assert 'rows=36, dim=12' in out


def test_run_folder(trained: Path, capsys) -> None:
    run('info', str(trained / 'runs/shop'))
    out = capsys.readouterr().out
    assert 'backbone: lightgcn' in out
    assert 'NDCG@18' in out


def test_damaged_metrics(trained: Path, tmp_path: Path, capsys) -> None:
    shutil.copy(trained / 'runs/shop/config.yaml', tmp_path)
    (tmp_path / 'metrics.json').write_text('{"val": 0.5}')
    assert main(['info', str(tmp_path)]) == 1
    assert "metrics.json' is damaged" in capsys.readouterr().err
