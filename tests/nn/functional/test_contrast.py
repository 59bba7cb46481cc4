import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from pyg_darec.nn.functional import (
    blocks,
    info_nce,
    log_partition,
    symmetric_info_nce,
    uniformity,
)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(x[:, None], y[None, :], dim=-1)


def info_nce_reference(a, p, c, tau, w, m):  # type: ignore[no-untyped-def]
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(a)):
        positive = cosine(a[i : i + 1], p[i : i + 1])[0, 0] / tau
        others = (m * (cosine(a[i : i + 1], c)[0] / tau).exp()).sum()
        total = total - w[i] * torch.log(positive.exp() / others)
    return total


def symmetric_reference(x, y, tau, pairs):  # type: ignore[no-untyped-def]
    """Every pair on its own, repeated ones included."""
    x, y = x[pairs[0]], y[pairs[1]]
    ones = torch.ones(len(x))
    there = info_nce_reference(x, y, y, tau, ones, ones)
    return there + info_nce_reference(y, x, x, tau, ones, ones)


def uniformity_reference(x: Tensor, t: float) -> Tensor:
    x = x / x.norm(dim=1, keepdim=True)
    pairs = [
        torch.exp(-t * (x[i] - x[j]).square().sum())
        for i in range(len(x))
        for j in range(len(x))
        if i != j
    ]
    return torch.stack(pairs).mean().log()


def inputs(num: int = 5, size: int = 7, d: int = 3) -> list[Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(n, d, dtype=torch.float64, requires_grad=True)
        for n in (num, num, size)
    ]


@pytest.fixture(params=[1 << 18, 8], ids=['one block', 'many blocks'])
def block(request: pytest.FixtureRequest, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(blocks._BLOCK, 'cpu', request.param)
    monkeypatch.setattr(blocks, '_MIN_ROWS', 1)


@pytest.mark.parametrize('tau', [0.1, 1.0])
@pytest.mark.usefixtures('block')
def test_info_nce_equals_the_formula(tau: float) -> None:
    a, p, c = inputs()
    w = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0])
    m = torch.tensor([1.0, 1.0, 2.0, 1.0, 4.0, 1.0, 1.0])
    expected = info_nce_reference(a, p, c, tau, w, m)
    assert torch.allclose(info_nce(a, p, c, tau, w, m), expected)
    ones = torch.ones(7)
    expected = info_nce_reference(a, p, c, tau, ones, ones)
    assert torch.allclose(info_nce(a, p, c, tau), expected)
    assert gradcheck(lambda *x: info_nce(*x, tau, w, m), (a, p, c))


@pytest.mark.parametrize('tau', [0.02, 0.1, 1.0])
@pytest.mark.usefixtures('block')
def test_symmetric_info_nce_equals_the_formula(tau: float) -> None:
    x, y, c = inputs()
    same = torch.arange(5), torch.arange(5)
    expected = symmetric_reference(x, y, tau, same)
    assert torch.allclose(symmetric_info_nce(x, y, tau), expected)
    assert gradcheck(lambda *x: symmetric_info_nce(*x, tau), (x, y))
    pairs = torch.tensor([[0, 1, 2, 3, 4, 0, 0, 1], [6, 5, 4, 3, 2, 1, 0, 5]])
    row, col = pairs
    expected = symmetric_reference(x, c, tau, pairs)
    loss = symmetric_info_nce(x, c, tau, (row, col))
    assert torch.allclose(loss, expected)
    assert gradcheck(lambda *x: symmetric_info_nce(*x, tau, (row, col)), (x, c))


@pytest.mark.usefixtures('block')
def test_log_partition_equals_the_formula() -> None:
    a, _, c = inputs()
    w = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0])
    m = torch.tensor([1.0, 1.0, 2.0, 1.0, 4.0, 1.0, 1.0])
    expected = (w * ((a @ c.t()).exp() * m).sum(dim=1).log()).sum()
    assert torch.allclose(log_partition(a, c, w, m), expected)
    assert gradcheck(lambda *x: log_partition(*x, w, m), (a, c))
    large = log_partition(1e4 * a, 1e4 * c)
    assert torch.allclose(large, 1e8 * (a @ c.t()).amax(dim=1).sum())
    assert log_partition(a[:0], c) == 0


def test_multiplicity_is_repetition() -> None:
    a, p, c = inputs()
    count = torch.tensor([2, 1, 3, 1, 1])
    once = info_nce(a, p, p, 0.2, count, count)
    index = torch.arange(5).repeat_interleave(count)
    assert torch.allclose(once, info_nce(a[index], p[index], p[index], 0.2))
    assert c.size(0) == 7


@pytest.mark.usefixtures('block')
def test_uniformity_equals_the_formula() -> None:
    x = inputs()[2]
    for t in (0.5, 2.0, 30.0):
        expected = uniformity_reference(x, t)
        assert torch.allclose(uniformity(x, t), expected)
        assert gradcheck(lambda x, t=t: uniformity(x, t), (x,))


def test_uniformity_closed_forms() -> None:
    same = torch.ones(6, 4)
    assert uniformity(same).abs() < 1e-6
    opposite = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert torch.isclose(uniformity(opposite), torch.tensor(-8.0))
    for t in (60.0, 1e4):  # exponentials that are zero in every dtype
        x = torch.tensor([[1.0, 0], [-1, 0], [0, 1]], requires_grad=True)
        value = uniformity(x, t)
        assert torch.isclose(value, torch.tensor(math.log(2 / 3) - 2 * t))
        value.backward()
        grad = torch.tensor([[0.0, t], [0, t], [0, 0]])
        assert torch.allclose(x.grad, grad)  # type: ignore[arg-type]
    for few in (torch.ones(1, 4), torch.ones(0, 4)):
        assert uniformity(few.requires_grad_()) == 0


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('tau', [1e-3, 0.2])
def test_stays_finite(tau: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4)
    x[0], x[1] = 0, x[2]  # a zero row and a duplicate
    x = x.to(dtype).requires_grad_()
    y = torch.randn(6, 4).to(dtype)
    losses = info_nce(x, y, y, tau), symmetric_info_nce(x, y, tau)
    for loss in (*losses, uniformity(x)):
        assert loss.isfinite()
        (grad,) = torch.autograd.grad(loss, x)
        assert grad.isfinite().all()
        assert grad.dtype == dtype


@pytest.mark.parametrize(('tau', 'rtol'), [(0.1, 0.01), (1e-3, 0.0)])
@pytest.mark.parametrize(
    'function',
    [lambda x, y, tau: info_nce(x, y, y, tau), symmetric_info_nce],
    ids=['one way', 'both ways'],
)
def test_bfloat16_autocast(
    function: Callable[..., Tensor], tau: float, rtol: float
) -> None:
    """In bfloat16 where it is accurate enough, in float32 where not."""
    torch.manual_seed(0)
    x = torch.randn(50, 8, requires_grad=True)
    y = torch.randn(50, 8)
    exact = function(x, y, tau)
    (exact_grad,) = torch.autograd.grad(exact, x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = function(x, y, tau)
    (grad,) = torch.autograd.grad(loss, x)
    assert loss.dtype == grad.dtype == torch.float32
    assert torch.allclose(loss, exact, rtol=rtol)
    assert (grad - exact_grad).norm() <= rtol * exact_grad.norm()
    assert torch.equal(grad, exact_grad) == (rtol == 0)


def test_empty_and_bad_input() -> None:
    empty = torch.empty(0, 3, requires_grad=True)
    assert info_nce(empty, empty, torch.randn(4, 3), 0.2) == 0
    assert symmetric_info_nce(empty, empty, 0.2) == 0
    none = torch.empty(2, 0, dtype=torch.long).unbind()
    assert symmetric_info_nce(torch.randn(4, 3), empty, 0.2, none) == 0
    with pytest.raises(ValueError, match="'temperature'"):
        info_nce(*inputs(), 0.0)
    with pytest.raises(ValueError, match="'temperature'"):
        symmetric_info_nce(*inputs()[:2], 0.0)


def test_constants_get_no_gradient() -> None:
    x, y = torch.randn(3, 2), torch.randn(4, 2)
    learned = torch.rand(3, requires_grad=True)
    count = torch.rand(4, requires_grad=True)
    with pytest.raises(ValueError, match="'weight' is a constant"):
        info_nce(x, x, y, 0.2, learned)
    with pytest.raises(ValueError, match="'multiplicity' is a constant"):
        info_nce(x, x, y, 0.2, multiplicity=count)
    with pytest.raises(ValueError, match="'weight' is a constant"):
        log_partition(x, y, learned)
    with pytest.raises(ValueError, match="'multiplicity' is a constant"):
        log_partition(x, y, multiplicity=count)
    with torch.no_grad():
        info_nce(x, x, y, 0.2, learned, count)
    info_nce(x, x, y, 0.2, learned.detach(), count.detach())


def test_nothing_is_repeated() -> None:
    x, one = torch.ones(3, 2), torch.ones(1)
    with pytest.raises(ValueError, match=r"'positive' .*3, 2.*\(1, 2\)\)"):
        info_nce(x, x[:1], x, 0.1)
    with pytest.raises(ValueError, match=r"'y' .*3, 2.*\(1, 2\)\)"):
        symmetric_info_nce(x, x[:1], 0.1)
    with pytest.raises(ValueError, match=r"'pairs' .*\(3,\).*\(1,\)\)"):
        symmetric_info_nce(x, x, 0.1, (torch.arange(3), torch.zeros(1).long()))
    for name in ('weight', 'multiplicity'):
        with pytest.raises(ValueError, match=rf"'{name}' .*\(3,\).*\(1,\)\)"):
            info_nce(x, x, x, 0.1, **{name: one})
        with pytest.raises(ValueError, match=rf"'{name}' .*\(3,\).*\(1,\)\)"):
            log_partition(x, x, **{name: one})


def test_no_square_matrix_is_kept() -> None:
    """Only tensors linear in the rows survive the forward pass."""
    x = torch.randn(3000, 4, requires_grad=True)
    largest = 0

    def note(tensor: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        losses = uniformity(x), info_nce(x, x, x, 0.2)
        (sum(losses) + symmetric_info_nce(x, x, 0.2)).backward()
    assert largest <= x.numel()
