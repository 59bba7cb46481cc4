import torch
from torch.autograd import gradcheck

from pyg_darec.nn.functional import bpr_loss, l2_penalty


def test_bpr_equals_the_formula() -> None:
    torch.manual_seed(0)
    user, item = (
        torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
        for n in (4, 5)
    )
    batch = tuple(torch.tensor(x) for x in ([0, 3, 0], [1, 2, 4], [2, 2, 0]))
    terms = [
        -torch.log(torch.sigmoid(user[u] @ item[p] - user[u] @ item[n]))
        for u, p, n in zip(*(x.tolist() for x in batch), strict=True)
    ]
    assert torch.allclose(
        bpr_loss(user, item, batch), torch.stack(terms).mean()
    )
    assert gradcheck(lambda u, i: bpr_loss(u, i, batch), (user, item))


def test_bpr_is_finite_for_large_margins() -> None:
    user, item = torch.full((1, 1), 1e4), torch.tensor([[1e4], [-1e4]])
    zero, one = torch.tensor([0]), torch.tensor([1])
    assert bpr_loss(user, item, (zero, one, zero)) == 2e8
    assert bpr_loss(user, item, (zero, zero, one)) == 0


def test_bpr_of_an_empty_batch() -> None:
    empty = torch.empty(0, dtype=torch.long)
    x = torch.randn(2, 3, requires_grad=True)
    loss = bpr_loss(x, x, (empty, empty, empty))
    loss.backward()
    assert loss == 0


def test_l2_penalty() -> None:
    x, y = torch.randn(3, 2), torch.randn(4)
    assert torch.allclose(l2_penalty(x, y), (x**2).sum() + (y**2).sum())
