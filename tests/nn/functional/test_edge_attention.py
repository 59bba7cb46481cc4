import pytest
import torch
from torch import Tensor

from pyg_darec.nn.functional.edge_attention import Edges, edge_attention
from pyg_darec.sparse import CSR

SIZE = 7, 5


def random_edges(num: int = 20) -> tuple[Tensor, Tensor, Edges]:
    """The last row and the last column have none."""
    torch.manual_seed(0)
    key = torch.randint((SIZE[0] - 1) * (SIZE[1] - 1), (num,)).unique()
    row, col = key // (SIZE[1] - 1), key % (SIZE[1] - 1)
    by_row = CSR.from_edges(row, col, SIZE, is_sorted=True)
    return row, col, (by_row, CSR.from_edges(col, row, SIZE[::-1]))


def random_inputs(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    # Products of these pass the limit of 10 on some of the edges.
    shapes = (SIZE[0], 6), (SIZE[1], 6), (SIZE[1], 4)
    return [
        (3 * torch.randn(shape)).to(dtype).requires_grad_() for shape in shapes
    ]


def attention(
    row: Tensor, col: Tensor, inputs: list[Tensor], num_heads: int
) -> Tensor:
    q, k, v = (x.unflatten(1, (num_heads, -1)) for x in inputs)
    logit = (q[row] * k[col]).sum(dim=-1)
    assert logit.amax() > 10 > -10 > logit.amin()
    weight = logit.clamp(-10, 10).exp()
    norm = weight.new_zeros(len(q), num_heads).index_add(0, row, weight) + 1e-8
    message = (weight / norm[row])[..., None] * v[col]
    out = v.new_zeros(len(q), *v.shape[1:]).index_add(0, row, message)
    return out.flatten(1)


@pytest.mark.parametrize('num_heads', [1, 2])
def test_equals_the_formula(num_heads: int) -> None:
    row, col, edges = random_edges()
    inputs = random_inputs()
    out = edge_attention(*inputs, edges, num_heads)
    expected = attention(row, col, inputs, num_heads)
    assert torch.allclose(out, expected, atol=1e-12)
    assert out[-1].eq(0).all()
    grad = torch.randn_like(out)
    grads = torch.autograd.grad(out, inputs, grad)
    for a, b in zip(
        grads, torch.autograd.grad(expected, inputs, grad), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-12)


def test_gradcheck() -> None:
    _, _, edges = random_edges()
    assert torch.autograd.gradcheck(
        lambda *x: edge_attention(*x, edges, 2), random_inputs()
    )


def test_no_edges() -> None:
    _, _, edges = random_edges(0)
    inputs = random_inputs(torch.float32)
    out = edge_attention(*inputs, edges)
    assert out.shape == (7, 4)
    assert out.eq(0).all()
    out.sum().backward()
    for x in inputs:
        assert x.grad is not None
        assert x.grad.eq(0).all()


def test_half_precision_is_computed_in_single() -> None:
    _, _, edges = random_edges()
    inputs = [x.detach() for x in random_inputs(torch.bfloat16)]
    out = edge_attention(*inputs, edges, 2)
    exact = edge_attention(*(x.float() for x in inputs), edges, 2)
    assert out.equal(exact.bfloat16())


def test_stays_finite_for_large_inputs() -> None:
    _, _, edges = random_edges()
    inputs = [(1e4 * x).detach() for x in random_inputs(torch.float32)]
    assert edge_attention(*inputs, edges).isfinite().all()


def test_unsorted_edges() -> None:
    _, _, edges = random_edges()
    with pytest.raises(ValueError, match='sorted by row'):
        edge_attention(*random_inputs(), edges[::-1])
