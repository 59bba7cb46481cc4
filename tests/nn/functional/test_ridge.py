import torch
from torch import Tensor

from pyg_darec.nn.functional import ridge_regression
from pyg_darec.nn.functional.ridge import _PENALTIES


def fit(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Straight from the normal equations."""
    a, b = x - x.mean(0), y - y.mean(0)
    gram = a.t() @ a + penalty * torch.eye(x.size(1)).double()
    weight = torch.linalg.solve(gram, a.t() @ b)
    return weight, y.mean(0) - x.mean(0) @ weight


def problem(noise: float) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(40, 6).double(), dim=1)
    y = x @ torch.randn(6, 3).double() + 2 + noise * torch.randn(40, 3).double()
    return x, y


def test_map_equals_the_normal_equations() -> None:
    x, y = problem(0.5)
    got = ridge_regression(x, y)
    weight, bias = fit(x, y, got.penalty)
    assert torch.allclose(got.weight, weight)
    assert torch.allclose(got.bias, bias)
    assert torch.allclose(got(x), x @ weight + bias)


def test_penalty_is_the_best_of_fits_without_one_row() -> None:
    chosen = []
    for noise in (0.01, 0.5, 5.0):
        x, y = problem(noise)
        errors = []
        for penalty in _PENALTIES:
            error = 0.0
            for row in range(40):
                rest = torch.arange(40) != row
                # Means stay those of all but one row as well.
                weight, bias = fit(x[rest], y[rest], penalty)
                gap = x[row] @ weight + bias - y[row]
                error += float(gap.square().sum())
            errors.append(error)
        got = ridge_regression(x, y).penalty
        assert got == _PENALTIES[errors.index(min(errors))]
        chosen.append(got)
    assert chosen == sorted(chosen)
    assert chosen[0] < chosen[-1]


def test_constant_rows_predict_the_mean() -> None:
    x, y = torch.ones(5, 4), torch.randn(5, 3)
    got = ridge_regression(x, y)
    assert torch.allclose(got(torch.randn(2, 4)), y.mean(0), atol=1e-4)


def test_one_row() -> None:
    y = torch.randn(1, 3)
    got = ridge_regression(torch.randn(1, 4), y)
    assert torch.allclose(got(torch.randn(2, 4)), y.expand(2, 3), atol=1e-5)
