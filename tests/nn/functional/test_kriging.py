import numpy as np
import pytest
import torch
from torch import Tensor

from pyg_darec.nn.functional import kriging, regression_kriging

SIZE, NEW, WIDTH, DIM = 60, 9, 7, 3


def problem() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(SIZE, WIDTH).double() + 1
    y = torch.randn(SIZE, DIM).double()
    return x, y, torch.randn(NEW, WIDTH).double() + 1


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize('block', [1 << 20, 1])
def test_equals_the_formula(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row, in NumPy."""
    sizes = {'cpu': block, 'cuda': block}
    monkeypatch.setattr('pyg_darec.nn.functional.blocks._BLOCK', sizes)
    monkeypatch.setattr('pyg_darec.nn.functional.blocks._MIN_ROWS', 2)
    x, y, new = problem()
    fitted = regression_kriging(x, y)
    got = fitted(new).numpy()

    a = unit(x.numpy())
    center = a.mean(0)
    a = unit(a - center)
    gap, gram = a - a.mean(0), 0.0
    gram = gap.T @ gap + fitted.linear.penalty * np.eye(WIDTH)
    weight = np.linalg.solve(gram, gap.T @ (y.numpy() - y.numpy().mean(0)))
    bias = y.numpy().mean(0) - a.mean(0) @ weight
    residual = y.numpy() - a @ weight - bias
    for row, b in enumerate(unit(unit(new.numpy()) - center)):
        near = np.argsort(-(a @ b))[:20]
        covariance = np.exp((a[near] @ a[near].T - 1) / 0.5) + 0.1 * np.eye(20)
        local = np.exp((a[near] @ b - 1) / 0.5)
        expected = b @ weight + bias
        expected = expected + local @ np.linalg.solve(
            covariance, residual[near]
        )
        assert np.allclose(got[row], expected)


def test_beats_a_linear_map_where_neighbours_tell_more() -> None:
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(800, 3), dim=1)
    y = torch.sin(6 * x[:, :2])
    fitted = regression_kriging(x[:700], y[:700])
    gap = (fitted(x[700:]) - y[700:]).square().mean()
    linear = (fitted.linear(x[700:]) - y[700:]).square().mean()
    assert gap < linear / 4


def test_missing_row_gets_the_mean_of_the_linear_map() -> None:
    x, y, new = problem()
    new[4] = 0
    fitted = regression_kriging(x, y)
    assert torch.equal(fitted(new)[4], fitted.linear.bias)


@pytest.mark.parametrize('size', [1, 2, 5])
def test_fewer_rows_than_neighbours(size: int) -> None:
    x, y, new = problem()
    out = regression_kriging(x[:size], y[:size])(new)
    assert out.shape == (NEW, DIM)
    assert torch.isfinite(out).all()
    assert size < kriging._NEIGHBORS


def test_constant_rows_predict_the_mean() -> None:
    _, y, new = problem()
    x = torch.full((SIZE, WIDTH), 0.3)
    out = regression_kriging(x, y.float())(x[:2])
    assert torch.allclose(out, y.float().mean(0).expand(2, DIM), atol=1e-5)
    assert torch.isfinite(regression_kriging(x, y.float())(new.float())).all()


def test_no_rows_to_predict() -> None:
    x, y, new = problem()
    assert regression_kriging(x, y)(new[:0]).shape == (0, DIM)
