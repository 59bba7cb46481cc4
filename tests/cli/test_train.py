import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from cli.conftest import PREPARE, TRAIN, run
from cli.test_main import wait_for
from safetensors.torch import load_file

from pyg_darec.cli.main import main
from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.io.lock import lock_folder


def test_run_folder(trained: Path) -> None:
    folder = trained / 'runs/shop'
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        'config.yaml',
        'data.json',
        'log.txt',
        'metrics.json',
        'csv',
        'checkpoint.safetensors',
        'model.safetensors',
        'curves.png',
    }
    config = yaml.safe_load((folder / 'config.yaml').read_text())
    assert config['backbone'] == 'lightgcn'
    assert config['data'] == str(trained / 'shop')
    assert (folder / 'curves.png').stat().st_size > 10_000
    log = (folder / 'log.txt').read_text().splitlines()
    assert 'started: pyg-darec' in log[0]
    assert 'DaRecAlign(LightGCN(45, 36, 16' in log[1]
    assert 'ended after epoch 6' in log[2]
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert 0 < metrics['val']['NDCG@18'] <= 1


def test_a_run_is_not_overwritten(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(trained)
    before = Path('runs/shop/config.yaml').read_bytes()
    assert main([*TRAIN, '--lr', '0.5']) == 1
    assert "'runs/shop' holds an earlier run" in capsys.readouterr().err
    assert Path('runs/shop/config.yaml').read_bytes() == before


def test_killed_and_resumed(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(trained)
    common = ['--epochs', '60', '--patience', 'null', '--eval-every', '1']
    common += ['--batch-size', '16', '--aligner', 'darec']
    killed = [*TRAIN[:2], 'runs/killed', *TRAIN[3:], *common]
    process = subprocess.Popen(
        [sys.executable, '-m', 'pyg_darec', *killed],
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(Path('runs/killed/checkpoint.safetensors'), process)
    process.kill()
    process.wait()
    assert not Path('runs/killed/model.safetensors').exists()
    assert main(['evaluate', 'runs/killed']) == 1
    assert 'has not ended; resume it' in capsys.readouterr().err

    run('train', '--resume', 'runs/killed')
    run(*TRAIN[:2], 'runs/whole', *TRAIN[3:], *common)
    # Tensors: the order of a header's entries is of no account.
    killed, whole = (
        load_file(Path('runs', name, 'model.safetensors'))
        for name in ('killed', 'whole')
    )
    assert killed.keys() == whole.keys()
    assert all(torch.equal(killed[key], whole[key]) for key in whole)
    assert 'resumed: ' in Path('runs/killed/log.txt').read_text()

    run('train', '--resume', 'runs/whole', '--epochs', '62')
    history = Path('runs/whole/csv/metrics.csv').read_text()
    assert history.count('\n') == 63
    # A kill after that costs nothing either.
    config = yaml.safe_load(Path('runs/whole/config.yaml').read_text())
    assert (config['epochs'], config['patience']) == (62, None)
    assert config['batch_size'] == 16
    assert main(['train', '--resume', 'runs/whole', '--lr', '0.5']) == 1
    assert 'lr' in capsys.readouterr().err
    assert yaml.safe_load(Path('runs/whole/config.yaml').read_text()) == config


def test_nothing_to_resume(capsys, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(['train', '--resume', str(tmp_path)])
    assert caught.value.code == 2
    assert 'holds no run' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('option', 'says'),
    [
        (['--backbone', 'lightgnc'], "did you mean 'LightGCN'?"),
        (['--aligner', 'simgcl'], "'aligner' needs to be an alignment method"),
        (['--backbone-options.layers', '2'], "'layers'"),
        (['--dim', '0'], "'dim'"),
    ],
)
def test_bad_options(
    option: list[str], says: str, trained: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(trained)
    assert main(['train', 'shop', 'runs/bad', *option]) == 1
    assert says in capsys.readouterr().err
    assert not Path('runs/bad').exists()


PLAIN = [*TRAIN[:2], 'runs/plain', *TRAIN[3:], '--epochs=1', '--aligner=none']


@pytest.fixture
def plain(shop: Path) -> Path:
    run(*PREPARE)
    return shop


@pytest.mark.parametrize(
    'option',
    [
        ['--monitor', 'foo'],
        ['--lr', '-1'],
        ['--device', 'foo'],
        ['--precision', 'foo'],
        ['--batch-size', '0'],
        ['--optimizer', 'foo'],
    ],
)
def test_a_typo_can_be_corrected(
    option: list[str], plain: Path, capsys
) -> None:
    assert main([*PLAIN, *option]) == 1
    run(*PLAIN)
    config = yaml.safe_load(Path('runs/plain/config.yaml').read_text())
    assert (config['lr'], config['device']) == (0.01, 'cpu')


def test_resumed_before_its_first_checkpoint(plain: Path, capsys) -> None:
    """What is new then, options or data, is what the run was made from."""
    assert main([*PLAIN, '--monitor', 'foo']) == 1
    run(*PREPARE, '--seed', '7')
    changes = ['--monitor', 'null', '--lr', '0.1', '--dim', '8']
    run('train', '--resume', 'runs/plain', *changes)
    config = yaml.safe_load(Path('runs/plain/config.yaml').read_text())
    assert (config['lr'], config['dim']) == (0.1, 8)
    run('evaluate', 'runs/plain')


def test_metrics_of_earlier_weights(plain: Path) -> None:
    run(*PLAIN, '--eval-every', '1')
    run('evaluate', 'runs/plain')
    path = Path('runs/plain/metrics.json')
    before = path.read_bytes()
    run('train', '--resume', 'runs/plain')
    assert path.read_bytes() == before
    run('train', '--resume', 'runs/plain', '--epochs', '6')
    metrics = json.loads(path.read_text())
    assert metrics['val'] != json.loads(before)['val']
    assert 'test' not in metrics


def test_resumed_with_other_ids(plain: Path, capsys) -> None:
    run(*PLAIN)
    data = load_data('shop')
    data['item'].id.reverse()
    save_data(data, 'shop')
    before = Path('runs/plain/log.txt').read_bytes()
    argv = ['train', '--resume', 'runs/plain', '--epochs', '2']
    assert main(argv) == 1
    assert 'needs to hold the ids' in capsys.readouterr().err
    assert Path('runs/plain/log.txt').read_bytes() == before


def test_one_process_at_a_time(plain: Path, capsys) -> None:
    with lock_folder('runs/plain'):
        assert main(PLAIN) == 1
        assert 'written by another process' in capsys.readouterr().err
        assert not Path('runs/plain/config.yaml').exists()
    run(*PLAIN)
    before = Path('runs/plain/csv/metrics.csv').read_bytes()
    with lock_folder('runs/plain'):
        assert main(['train', '--resume', 'runs/plain', '--epochs', '9']) == 1
    assert Path('runs/plain/csv/metrics.csv').read_bytes() == before


def test_data_that_was_moved(plain: Path, capsys) -> None:
    run(*PLAIN)
    Path('shop').rename('moved')
    assert main(['evaluate', 'runs/plain']) == 1
    assert "name the folder where it is now as 'data'" in (
        capsys.readouterr().err
    )
    assert main(['train', '--resume', 'runs/plain']) == 1
    err = capsys.readouterr().err
    assert 'pyg-darec train DATA --resume runs/plain' in err
    run('train', 'moved', '--resume', 'runs/plain', '--epochs', '4')
    run('evaluate', 'runs/plain')


def test_resumed_with_options_of_the_backbone(plain: Path) -> None:
    run(*PLAIN, '--backbone-options', '{num_layers: 2}')
    run('train', '--resume', 'runs/plain', '--epochs', '3')
    config = yaml.safe_load(Path('runs/plain/config.yaml').read_text())
    assert config['backbone_options'] == {'num_layers': 2}
    assert config['epochs'] == 3


def test_files_of_others_in_the_run_folder(shop: Path, capsys) -> None:
    run(*PREPARE)
    run('encode', 'shop', '--encoder', 'tfidf', '--dim', '8')
    capsys.readouterr()
    for name in ('config.yaml', 'metrics.json', 'curves.png', 'csv/a.csv'):
        path = Path('proj', name)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text('{"mine": 1}')
        assert main(['train', 'shop', 'proj', '--epochs', '1']) == 1
        first = Path(name).parts[0]
        assert f"a '{first}' in it" in capsys.readouterr().err
        assert path.read_text() == '{"mine": 1}'
        path.unlink()
    assert main(['train', 'shop', 'shop', '--epochs', '1']) == 1
    assert 'holds other files' in capsys.readouterr().err
    assert 'config.yaml' not in {p.name for p in Path('shop').iterdir()}


def test_options_of_no_aligner(shop: Path, capsys) -> None:
    run(*PREPARE)
    words = ['--aligner', 'none', '--aligner-options', '{weight: 1}']
    assert main(['train', 'shop', 'runs/x', *words]) == 1
    assert "'aligner_options'" in capsys.readouterr().err
    assert not Path('runs/x').exists()
