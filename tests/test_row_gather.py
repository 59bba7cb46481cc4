"""The kernels run in Triton's interpreter where there is no GPU."""

import pytest
import torch
from torch import Tensor

from pyg_darec import row_gather
from pyg_darec.sparse import CSR, Matrix

HAS_GPU = torch.cuda.is_available()
DEVICE = 'cuda' if HAS_GPU else 'cpu'


def random_matrix(
    num_rows: int, num_cols: int, num_edges: int, dtype: torch.dtype
) -> tuple[Matrix, Tensor]:
    """The same matrix, sparse and dense."""
    cell = torch.randperm(num_rows * num_cols)[:num_edges].sort().values
    row, col = cell // num_cols, cell % num_cols
    value = torch.rand(num_edges, dtype=dtype)
    dense = torch.zeros(num_rows, num_cols, dtype=dtype)
    dense[row, col] = value
    csr = CSR.from_edges(row, col, (num_rows, num_cols), is_sorted=True)
    ptr, cols, values = csr.weighted(value)
    return (ptr.to(DEVICE), cols.to(DEVICE), values.to(DEVICE)), dense


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize(
    'shape',
    [
        (5, 7, 20, 3),
        (1, 30, 30, 8),  # one row, longer than a program takes
        (3, 50, 100, 130),  # wider than a tile
        (20, 3, 11, 1),  # rows without edges
        (2, 3, 0, 4),
        (0, 3, 0, 4),
    ],
    ids=str,
)
def test_equals_dense(
    shape: tuple[int, int, int, int],
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Long rows are shared among programs, whose pieces begin anywhere."""
    torch.manual_seed(0)
    *size, dim = shape
    matrix, dense = random_matrix(*size, dtype)
    x = torch.randn(size[1], dim, dtype=dtype)
    for max_edges in (8, 512):
        monkeypatch.setattr(row_gather, '_MAX_EDGES', max_edges)
        out = row_gather.gather_rows(matrix, x.to(DEVICE))
        torch.testing.assert_close(out.cpu(), dense @ x)


def test_takes_strided_input() -> None:
    matrix, dense = random_matrix(4, 6, 9, torch.float32)
    x = torch.randn(5, 6).t()
    out = row_gather.gather_rows(matrix, x.to(DEVICE))
    torch.testing.assert_close(out.cpu(), dense @ x)


def test_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, _ = random_matrix(4, 6, 9, torch.float32)
    x = torch.randn(6, 2, device=DEVICE)
    assert not row_gather.can_gather(matrix, x)
    monkeypatch.setattr(row_gather, '_MIN_EDGES', 9)
    assert row_gather.can_gather(matrix, x) == HAS_GPU
    assert not row_gather.can_gather(matrix, x.half())
    assert not row_gather.can_gather(matrix, x.double())
    assert not row_gather.can_gather(matrix, x[:, :0])
    monkeypatch.setattr(row_gather, '_has_triton', lambda: False)
    assert not row_gather.can_gather(matrix, x)
