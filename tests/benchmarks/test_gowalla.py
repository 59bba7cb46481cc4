import sys
from pathlib import Path

import gowalla
import numpy as np
import pytest
from scipy import sparse


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three users and four items, as NGCF's files have them."""
    monkeypatch.setattr(gowalla, 'NUM_USERS', 3)
    pairs = np.array([[0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3]])
    half = sparse.coo_matrix((np.ones(6), pairs), shape=(3, 4))
    whole = sparse.bmat([[None, half], [half.T, None]])
    sparse.save_npz(tmp_path / 's_adj_mat.npz', whole.tocsr())
    (tmp_path / 'test.txt').write_text('0 2\n1 0 3\n2 \n')
    return tmp_path


def test_load(root: Path) -> None:
    graph = gowalla.load(root)
    assert (graph.num_users, graph.num_items) == (3, 4)
    assert graph.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3]]
    assert graph.edge_label_index['test'].tolist() == [[0, 1, 1], [2, 0, 3]]


@pytest.mark.parametrize('epochs', [1, 5])
def test_trains_all_epochs(
    root: Path,
    epochs: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gowalla, 'K', 2)
    words = ['--root', str(root), '--device', 'cpu', '--epochs', str(epochs)]
    monkeypatch.setattr(sys, 'argv', ['gowalla.py', *words])
    gowalla.main()
    out = capsys.readouterr().out
    assert f'{epochs} epochs in' in out
    assert 'Recall@2 ' in out


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r's_adj_mat\.npz'):
        gowalla.load(tmp_path)
