import torch

from pyg_darec.sparse import CSR


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
