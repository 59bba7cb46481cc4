"""Gradients of our own are not taken for constants."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_darec.autograd import once_differentiable
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align.max_similarity import max_similarity_nce
from pyg_darec.nn.functional import (
    info_nce,
    log_partition,
    softmax_loss,
    symmetric_info_nce,
    uniformity,
)
from pyg_darec.nn.functional.edge_attention import edge_attention
from pyg_darec.nn.models.dccf import _EdgeProduct
from pyg_darec.sparse import CSR, SymmetricProduct

PAIRS = torch.tensor([[0, 0, 2], [1, 2, 0]])
GRAPH = BipartiteGraph(PAIRS, 3, 3)
BY_ROW = CSR.from_edges(*PAIRS, (3, 3), is_sorted=True)
BY_COL = CSR.from_edges(*PAIRS.flip(0), (3, 3))
SYMMETRIC = CSR.from_edges(PAIRS[0, :2] * 0, PAIRS[1, :2] * 0, (3, 3))


def weighted(x: Tensor, y: Tensor) -> Tensor:
    user, item = GRAPH.with_weight(x[0]).propagate(y, y.detach())
    return (user + item).sum()


def symmetric(x: Tensor) -> Tensor:
    out: Tensor = SymmetricProduct.apply(x, *SYMMETRIC.weighted(x.new_ones(2)))
    return out


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'info_nce': lambda x, y: info_nce(x, x.detach(), y, 0.5),
    'log_partition': log_partition,
    'symmetric_info_nce': lambda x, y: symmetric_info_nce(x, y, 0.5),
    'uniformity': lambda x, y: uniformity(x) + uniformity(y),
    'softmax_loss': lambda x, y: softmax_loss(
        x, y, (PAIRS[0], PAIRS[1], PAIRS[0]), PAIRS[1]
    ),
    'max_similarity': lambda x, y: max_similarity_nce(
        x[:, None], y[:, None], 0.5
    ),
    'edge_attention': lambda x, y: edge_attention(
        x, y, y, (BY_ROW, BY_COL)
    ).sum(),
    'edge_product': lambda x, y: _EdgeProduct.apply(x, y, GRAPH).sum(),
    'weighted': weighted,
    'propagate': lambda x, y: (
        GRAPH.propagate(x, y)[0].square().sum()
        + GRAPH.propagate(x, y)[1].square().sum()
    ),
    'symmetric': lambda x, y: (
        symmetric(x).square().sum() + symmetric(y).square().sum()
    ),
}


@pytest.fixture(params=FUNCTIONS)
def function(request) -> Callable[[Tensor, Tensor], Tensor]:  # type: ignore[no-untyped-def]
    return FUNCTIONS[request.param]


@pytest.fixture
def inputs() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, 3, requires_grad=True) for _ in range(2)]


def test_graph_of_a_gradient(function, inputs) -> None:  # type: ignore[no-untyped-def]
    """Nothing raises before it is differentiated."""
    expected = torch.autograd.grad(function(*inputs), inputs)
    found = torch.autograd.grad(function(*inputs), inputs, create_graph=True)
    assert all(a.equal(b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize('n', range(2))
def test_second_derivative(function, inputs, n: int) -> None:  # type: ignore[no-untyped-def]
    def loss(x: Tensor) -> Tensor:
        value: Tensor = function(*inputs[:n], x, *inputs[n + 1 :])
        return value

    with pytest.raises(RuntimeError, match='differentiable once'):
        torch.autograd.functional.hessian(loss, inputs[n])
    penalty = torch.autograd.grad(
        function(*inputs), inputs[n], create_graph=True
    )[0].square()
    with pytest.raises(RuntimeError, match='differentiable once'):
        penalty.sum().backward()


def test_checkpoint(inputs) -> None:  # type: ignore[no-untyped-def]
    """Saved tensors of a checkpoint can be read only once."""
    (expected,) = torch.autograd.grad(uniformity(inputs[0]), inputs[0])
    loss = checkpoint(uniformity, inputs[0], use_reentrant=False)
    (grad,) = torch.autograd.grad(loss, inputs[0], create_graph=True)
    assert grad.equal(expected)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):  # type: ignore[no-untyped-def]
        ctx.factor = factor
        return factor * x

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return ctx.factor * grad, None


def test_linear_function() -> None:
    """What depends on nothing has no second derivative to miss."""
    x = torch.ones(2, requires_grad=True)
    (grad,) = torch.autograd.grad(
        _Product.apply(x, 3.0).sum(), x, create_graph=True
    )
    assert grad.eq(3).all()
    assert not grad.requires_grad
    (grad,) = torch.autograd.grad(
        _Product.apply(x, 3.0).square().sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match=r"'_Product'.*\(got a second"):
        torch.autograd.grad(grad.sum(), x)
