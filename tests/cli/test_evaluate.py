import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import PREPARE, run
from cli.shop import write_shop

from pyg_darec import evaluate
from pyg_darec.cli.main import main
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


def test_metrics_are_added(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'run'
    shutil.copytree(trained / 'runs/shop', folder)
    before = json.loads((folder / 'metrics.json').read_text())
    for split in ('test', 'val'):
        for k in '35':
            run('evaluate', str(folder), '--split', split, '--ks', k)
    after = json.loads((folder / 'metrics.json').read_text())
    assert after['test'].keys() >= {'Recall@3', 'Recall@5'}
    assert after['val'].keys() >= {'Recall@3', 'Recall@5'}
    assert before['val'].items() <= after['val'].items()


@pytest.mark.parametrize('command', ['evaluate', 'recommend', 'export'])
def test_data_that_was_made_anew(
    command: str, trained: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    run(*PREPARE, '--seed', '7')
    output = ['out'] if command == 'export' else []
    argv = [command, str(trained / 'runs/shop'), *output, '--data', 'shop']
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert "'shop' needs to hold the interactions that the run in" in err
    assert not Path('out').exists()


def test_a_small_catalogue(shop: Path, capsys) -> None:
    """Depths and numbers that nobody asked for are those there are items
    for.
    """
    lines = ['customer,product,date']
    for user in range(30):
        for n in range(5):
            lines.append(f'{user},P{(user + n) % 7:02d},2024-01-{n + 1:02d}')
    Path('orders.csv').write_text('\n'.join(lines))
    run(*PREPARE)
    run('train', 'shop', 'run', '--aligner', 'none', '--epochs', '1')
    capsys.readouterr()
    run('evaluate', 'run')
    out = capsys.readouterr().out
    assert 'Recall@5' in out
    assert 'Recall@10' not in out
    assert main(['evaluate', 'run', '--ks', '10']) == 1
    assert 'at most the number of items, 7' in capsys.readouterr().err
    run('recommend', 'run', '--users', '3')
    assert len(capsys.readouterr().out.splitlines()) > 2
    assert main(['recommend', 'run', '--k', '10']) == 1


def test_metrics_that_cannot_be_kept(
    trained: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that is only read."""
    folder = tmp_path / 'run'
    shutil.copytree(trained / 'runs/shop', folder)

    def refuse(*_: object) -> None:
        raise OSError(30, 'Read-only file system')

    monkeypatch.setattr('pyg_darec.cli.evaluate.record_metrics', refuse)
    run('evaluate', str(folder), '--ks', '5')
    out, err = capsys.readouterr()
    assert 'Recall@5' in out
    assert 'keeps no metrics' in err


def test_metrics_are_kept_whoever_reads_the_output(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / 'run'
    shutil.copytree(trained / 'runs/shop', folder)
    command = [sys.executable, '-m', 'pyg_darec', 'evaluate', str(folder)]
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run([*command, '--ks', '7'], stdout=writer, check=True)
    os.close(writer)
    content = json.loads((folder / 'metrics.json').read_text())
    assert 'Recall@7' in content['test']
