import pytest
import torch

from pyg_darec.graph import BipartiteGraph
from pyg_darec.sparse import CSR, Propagate


def test_from_edges() -> None:
    row, col = torch.tensor([2, 0, 2, 1]), torch.tensor([1, 1, 0, 2])
    csr = CSR.from_edges(row, col, (4, 3))
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    dense = torch.zeros(4, 3)
    dense[row, col] = weight
    assert torch.equal(csr.matrix(weight).to_dense(), dense)
    assert csr.ptr.dtype == csr.col.dtype == torch.int32
    assert csr.ptr.tolist() == [0, 1, 2, 4, 4]


def test_sorted_edges_need_no_order() -> None:
    row, col = torch.tensor([0, 1, 1]), torch.tensor([2, 0, 1])
    csr = CSR.from_edges(row, col, (2, 3), is_sorted=True)
    assert csr.order is None
    other = CSR.from_edges(row, col, (2, 3))
    weight = torch.rand(3)
    assert torch.equal(
        csr.matrix(weight).to_dense(), other.matrix(weight).to_dense()
    )


@pytest.fixture(params=[torch.float32, torch.float64])
def parts(request):
    """A matrix in both directions, with an empty row and an empty column."""
    row, col = torch.tensor([0, 0, 2, 3]), torch.tensor([1, 3, 0, 1])
    weight = torch.rand(4, dtype=request.param)
    to_user = CSR.from_edges(row, col, (4, 5), is_sorted=True)
    to_item = CSR.from_edges(col, row, (5, 4))
    return weight, to_user.weighted(weight), to_item.weighted(weight)


def test_operators(parts):
    """PyTorch's own checks of what compilers rely on."""
    weight, to_user, to_item = parts
    user, item = (torch.rand(n, 3, dtype=weight.dtype) for n in (4, 5))
    ops, check = torch.ops.pyg_darec, torch.library.opcheck
    check(ops.propagate.default, (user, item, to_user, to_item))
    check(ops.edge_dots.default, (user, item, to_user))
    # The memory of a transposed input is in another order.
    user, item = user.t().contiguous().t(), item.t().contiguous().t()
    check(ops.propagate.default, (user, item, to_user, to_item))


def test_propagate(parts):
    weight, to_user, to_item = parts
    dense = torch.zeros(4, 5, dtype=weight.dtype)
    dense[[0, 0, 2, 3], [1, 3, 0, 1]] = weight
    leaves = [torch.rand(n, 3, dtype=weight.dtype) for n in (4, 5)]
    leaves = [x.requires_grad_() for x in (*leaves, weight)]
    out = Propagate.apply(*leaves, *to_user, *to_item)
    plain = [x.detach().clone().requires_grad_() for x in leaves]
    dense = dense.index_put(
        (torch.tensor([0, 0, 2, 3]), torch.tensor([1, 3, 0, 1])), plain[2]
    )
    expected = dense @ plain[1], dense.t() @ plain[0]
    grads = [torch.rand_like(x) for x in out]
    torch.autograd.backward(out, grads)
    torch.autograd.backward(expected, grads)
    torch.testing.assert_close(out, expected)
    for a, b in zip(leaves, plain, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_weights_of_inference_mode_can_be_trained_on():
    graph = BipartiteGraph(torch.tensor([[0, 1], [1, 0]]), 2, 2)
    user, item = torch.rand(2, 2, 3).requires_grad_()
    with torch.inference_mode():
        expected = graph.propagate(user, item)
    out = graph.propagate(user, item)
    sum(x.sum() for x in out).backward()
    assert all(a.equal(b) for a, b in zip(out, expected, strict=True))
