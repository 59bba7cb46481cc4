from pathlib import Path

import pytest
from cli.shop import write_shop

from pyg_darec.cli.main import main

PREPARE = [
    *('prepare', 'orders.csv', 'shop', '--items', 'products.csv'),
    *('--user', 'customer', '--item', 'product', '--time', 'date'),
]
TRAIN = [
    *('train', 'shop', 'runs/shop', '--epochs', '6', '--batch-size', '64'),
    *('--dim', '16', '--lr', '0.01', '--device', 'cpu'),
]


def run(*argv: str) -> None:
    assert main(list(argv)) == 0


@pytest.fixture(scope='session')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a trained run, made by commands."""
    folder = tmp_path_factory.mktemp('trained')
    write_shop(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(*PREPARE)
        run('encode', 'shop', '--encoder', 'tfidf', '--dim', '12')
        run(*TRAIN)
    return folder


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
