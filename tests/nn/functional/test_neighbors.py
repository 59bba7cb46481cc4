import pytest
import torch
from torch import Tensor

from pyg_darec.nn.functional import neighbors
from pyg_darec.nn.functional.neighbors import nearest_neighbors


def points(num: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, 6, generator=generator, dtype=torch.double)


@pytest.mark.parametrize('num', [2, 7, 100])
@pytest.mark.parametrize('k', [1, 5])
def test_equals_a_full_sort(
    num: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = points(num)
    monkeypatch.setattr(neighbors, '_BLOCK', 3 * num)  # ragged blocks
    index, value = nearest_neighbors(x, k)
    dots = (x @ x.t()).fill_diagonal_(-torch.inf)
    expected = dots.sort(dim=1, descending=True)
    width = min(k, num - 1)
    assert torch.equal(index, expected.indices[:, :width])
    assert torch.allclose(value, expected.values[:, :width])


@pytest.mark.parametrize('num', [0, 1])
def test_nobody_near(num: int) -> None:
    index, value = nearest_neighbors(points(num), 3)
    assert index.shape == value.shape == (num, 0)


def test_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours that are in the same cell are found, and no others."""
    group = torch.arange(90) // 30
    x = points(90) + 50 * torch.nn.functional.one_hot(group, 6).double()
    exact = nearest_neighbors(x, 4)
    monkeypatch.setattr(neighbors, '_MAX_EXACT', 30)
    monkeypatch.setattr(neighbors, '_CELL', 30)
    monkeypatch.setattr(neighbors, '_STRIDE', 2)
    index, value = nearest_neighbors(x, 4)
    assert torch.equal(index, exact[0])
    assert torch.allclose(value, exact[1])
    index, value = nearest_neighbors(x, 40)
    assert torch.equal(index == -1, value == -torch.inf)
    found = index >= 0
    own = group.unsqueeze(1).expand(-1, 40)
    assert torch.equal(group[index[found]], own[found])
    assert (found.sum(dim=1) == 29).all()


def test_no_cell_is_larger_than_what_is_searched_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal points all have the same nearest centre, and would cost the
    square of their number.
    """
    monkeypatch.setattr(neighbors, '_MAX_EXACT', 16)
    monkeypatch.setattr(neighbors, '_CELL', 8)
    x = torch.ones(100, 6)
    sizes: list[int] = []
    search = neighbors._search

    def note(x: Tensor, cell: Tensor, index: Tensor, value: Tensor) -> None:
        sizes.append(cell.numel())
        search(x, cell, index, value)

    monkeypatch.setattr(neighbors, '_search', note)
    index, value = nearest_neighbors(x, 3)
    assert max(sizes) <= 16
    assert sum(sizes) == 100
    assert torch.equal(value, torch.full((100, 3), 6.0))
    node = torch.arange(100).unsqueeze(1)
    assert (index != node).all()
    assert (index >= 0).all()
