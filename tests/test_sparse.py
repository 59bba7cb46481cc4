import pytest
import torch

from pyg_darec import sparse
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


# Of sparse products and of embedding bags, with and without a vector's rest.
WIDTHS = pytest.mark.parametrize('width', [0, 1, 15, 16, 33])


@WIDTHS
def test_operators(parts, width):
    """PyTorch's own checks of what compilers rely on."""
    weight, to_user, to_item = parts
    user, item = (torch.rand(n, width, dtype=weight.dtype) for n in (4, 5))
    ops, check = torch.ops.pyg_darec, torch.library.opcheck
    check(ops.propagate.default, (user, item, to_user, to_item))
    check(ops.edge_dots.default, (user, item, to_user))
    # The memory of a transposed input is in another order.
    user, item = user.t().contiguous().t(), item.t().contiguous().t()
    check(ops.propagate.default, (user, item, to_user, to_item))


@WIDTHS
def test_propagate(parts, width):
    weight, to_user, to_item = parts
    dense = torch.zeros(4, 5, dtype=weight.dtype)
    dense[[0, 0, 2, 3], [1, 3, 0, 1]] = weight
    leaves = [torch.rand(n, width, dtype=weight.dtype) for n in (4, 5)]
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


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('width', [16, 32, 100])
def test_bags_equal_sparse_products(monkeypatch, width, autocast):
    """In power-law graphs, whose rows have no edges or thousands."""
    torch.manual_seed(0)
    row, col = (torch.rand(2, 20_000) ** 3 * 500).long()
    weight = torch.randn(20_000)
    matrices = (
        CSR.from_edges(row, col, (600, 500)).weighted(weight),
        CSR.from_edges(col, row, (500, 600)).weighted(weight),
    )
    user, item = torch.randn(600, width), torch.randn(width, 500).t()
    product = torch.ops.pyg_darec.propagate.default
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        assert sparse._are_bags(matrices[0], item)
        bags = product(user, item, *matrices)
        monkeypatch.setattr(sparse, '_MIN_BAG_WIDTH', width + 1)
        plain = product(user, item, *matrices)
    torch.testing.assert_close(bags, plain, rtol=1e-5, atol=1e-4)


def test_a_bag_of_what_is_not_there():
    ptr, col = torch.tensor([[0, 1], [3, 0]], dtype=torch.int32)
    with pytest.raises(RuntimeError, match='valid range'):
        sparse._matmul((ptr, col[:1], torch.ones(1)), torch.ones(3, 16))


def test_weights_of_inference_mode_can_be_trained_on():
    graph = BipartiteGraph(torch.tensor([[0, 1], [1, 0]]), 2, 2)
    user, item = torch.rand(2, 2, 3).requires_grad_()
    with torch.inference_mode():
        expected = graph.propagate(user, item)
    out = graph.propagate(user, item)
    sum(x.sum() for x in out).backward()
    assert all(a.equal(b) for a, b in zip(out, expected, strict=True))
