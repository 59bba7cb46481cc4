import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from pyg_darec.nn.functional import (
    bce_loss,
    blocks,
    bpr_loss,
    direct_au_loss,
    l2_penalty,
    softmax_loss,
)

LOSSES = {
    'bpr': bpr_loss,
    'bce': bce_loss,
    'softmax': lambda user, item, batch: softmax_loss(
        user, item, batch, torch.cat(batch[1:]), 0.1, 'cosine'
    ),
    'direct_au': direct_au_loss,
}


@pytest.fixture
def tables() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    user, item = (
        torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
        for n in (4, 5)
    )
    return user, item


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """The first user, item 2 and the last row occur twice."""
    rows = [0, 3, 0, 1, 1], [1, 2, 4, 2, 2], [2, 4, 0, 3, 3]
    return tuple(torch.tensor(x) for x in rows)  # type: ignore[return-value]


def rows_of(batch: tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    return list(zip(*(x.tolist() for x in batch), strict=True))


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def test_bpr_equals_the_formula(tables, batch) -> None:  # type: ignore[no-untyped-def]
    user, item = tables
    terms = [
        -torch.log(torch.sigmoid(user[u] @ item[p] - user[u] @ item[n]))
        for u, p, n in rows_of(batch)
    ]
    got = bpr_loss(user, item, batch)
    assert torch.allclose(got, torch.stack(terms).mean())
    assert gradcheck(lambda *x: bpr_loss(*x, batch), tables)


def test_bce_equals_the_formula(tables, batch) -> None:  # type: ignore[no-untyped-def]
    user, item = tables
    terms = []
    for u, p, n in rows_of(batch):
        terms.append(-torch.log(torch.sigmoid(user[u] @ item[p])))
        terms.append(-torch.log(1 - torch.sigmoid(user[u] @ item[n])))
    got = bce_loss(user, item, batch)
    assert torch.allclose(got, torch.stack(terms).mean())
    assert gradcheck(lambda *x: bce_loss(*x, batch), tables)


@pytest.mark.parametrize('block', [1 << 18, 8])
@pytest.mark.parametrize('similarity', ['dot', 'cosine'])
@pytest.mark.parametrize('candidate', [[1, 2, 4, 2, 2], [0, 3, 0, 4], [2], []])
@pytest.mark.parametrize('corrected', [False, True])
def test_softmax_equals_the_formula(  # type: ignore[no-untyped-def]
    tables, batch, block, similarity, candidate, corrected, monkeypatch
) -> None:
    monkeypatch.setitem(blocks._BLOCK, 'cpu', block)
    monkeypatch.setattr(blocks, '_MIN_ROWS', 1)
    tau, log_q = 0.3, torch.randn(5) if corrected else None

    def logit(u: int, i: int) -> Tensor:
        a, b = tables[0][u], tables[1][i]
        if similarity == 'cosine':
            a, b = unit(a), unit(b)
        return a @ b / tau - (0 if log_q is None else log_q[i])

    terms = []
    for u, p, _ in rows_of(batch):
        others = [logit(u, c).exp() for c in candidate if c != p]
        positive = logit(u, p).exp()
        terms.append(-torch.log(positive / sum(others, start=positive)))

    def loss(*x: Tensor) -> Tensor:
        index = torch.tensor(candidate, dtype=torch.long)
        return softmax_loss(*x, batch, index, tau, similarity, log_q)

    assert torch.allclose(loss(*tables), torch.stack(terms).mean())
    assert gradcheck(loss, tables)


def test_softmax_over_all_items_is_the_cross_entropy(tables, batch) -> None:  # type: ignore[no-untyped-def]
    user, item = tables
    logits = user[batch[0]] @ item.t()
    expected = torch.nn.functional.cross_entropy(logits, batch[1])
    got = softmax_loss(user, item, batch, torch.arange(5))
    assert torch.allclose(got, expected)


def test_softmax_with_one_negative_is_bpr(tables, batch) -> None:  # type: ignore[no-untyped-def]
    for row in zip(*(x.split(1) for x in batch), strict=True):
        got = softmax_loss(*tables, row, candidate=row[2])
        assert torch.allclose(got, bpr_loss(*tables, row))


def test_softmax_keeps_no_matrix() -> None:
    x = torch.randn(3000, 4, requires_grad=True)
    index, sizes = torch.arange(3000), []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        softmax_loss(x, x, (index, index, index), index).backward()
    assert max(sizes) <= x.numel()


@pytest.mark.parametrize('gamma', [0.0, 0.7])
def test_direct_au_equals_the_formula(tables, batch, gamma) -> None:  # type: ignore[no-untyped-def]
    u, p = (unit(x[i]) for x, i in zip(tables, batch[:2], strict=True))
    expected = (u - p).square().sum(dim=1).mean()
    for x in (u, p):  # what the paper's code has, for rows of the batch
        pairs = torch.stack(
            [(x[i] - x[j]).square().sum() for i in range(5) for j in range(i)]
        )
        expected = expected + gamma / 2 * (-3 * pairs).exp().mean().log()

    def loss(*x: Tensor) -> Tensor:
        return direct_au_loss(*x, batch, gamma, t=3.0)

    assert torch.allclose(loss(*tables), expected)
    assert gradcheck(loss, tables)


def test_bpr_is_finite_for_large_margins() -> None:
    user, item = torch.full((1, 1), 1e4), torch.tensor([[1e4], [-1e4]])
    zero, one = torch.tensor([0]), torch.tensor([1])
    assert bpr_loss(user, item, (zero, one, zero)) == 2e8
    assert bpr_loss(user, item, (zero, zero, one)) == 0


def test_others_are_finite_for_large_scores() -> None:
    user = torch.full((1, 1), 1e4, requires_grad=True)
    item = torch.tensor([[1e4], [-1e4]])
    zero, one = torch.tensor([0]), torch.tensor([1])
    right, wrong = (zero, zero, one), (zero, one, zero)
    assert bce_loss(user, item, right) == 0
    assert bce_loss(user, item, wrong) == 1e8
    both = torch.tensor([0, 1])
    assert softmax_loss(user, item, right, both) == 0
    assert softmax_loss(user, item, wrong, both) == 2e8
    for row in (right, wrong):
        (grad,) = torch.autograd.grad(softmax_loss(user, item, row, both), user)
        assert grad == (0 if row is right else 2e4)


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('size', [0, 1])
def test_tiny_batch(name: str, size: int) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    batch = tuple(torch.full((size,), n) for n in range(3))
    loss = LOSSES[name](x, x, batch)  # type: ignore[arg-type]
    assert loss.requires_grad
    (grad,) = torch.autograd.grad(loss, x)
    assert loss.isfinite()
    assert grad.isfinite().all()
    if size == 0:
        assert loss == 0
        assert not grad.any()


@pytest.mark.parametrize('name', LOSSES)
def test_zero_rows_and_half_precision(name: str, batch) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    x = torch.randn(5, 4, requires_grad=True)
    with torch.no_grad():
        x[[0, 2]] = 0
    exact = LOSSES[name](x, x, batch)
    (grad,) = torch.autograd.grad(exact, x)
    assert exact.isfinite()
    assert grad.isfinite().all()
    half = x.detach().bfloat16().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = LOSSES[name](half, half, batch)
    loss.backward()
    assert torch.allclose(loss.float(), exact, rtol=0.02, atol=0.02)
    assert half.grad.isfinite().all()


def test_bad_arguments(tables, batch) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"'temperature'.*\(got 0.0\)"):
        softmax_loss(*tables, batch, batch[1], temperature=0.0)
    with pytest.raises(ValueError, match=r"'similarity'.*\(got 'l2'\)"):
        softmax_loss(*tables, batch, batch[1], similarity='l2')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'gamma'.*\(got -1\)"):
        direct_au_loss(*tables, batch, gamma=-1)
    with pytest.raises(ValueError, match=r"'t'.*\(got 0\)"):
        direct_au_loss(*tables, batch, t=0)


@pytest.mark.parametrize('name', LOSSES)
def test_nothing_is_repeated(name, tables, batch) -> None:  # type: ignore[no-untyped-def]
    """One row or column would stand for all."""
    user, item = tables
    u, pos, neg = batch
    with pytest.raises(ValueError, match=r'one width \(got .*\(4, 1\) and'):
        LOSSES[name](user[:, :1], item, batch)
    for other in ((u[:1], pos, neg), (u, pos[:1], neg)):
        with pytest.raises(ValueError, match=r'one shape \(got .*\(1,\)'):
            LOSSES[name](user, item, other)


@pytest.mark.parametrize('name', ['bpr', 'bce'])
def test_negatives_are_not_repeated(name, tables, batch) -> None:  # type: ignore[no-untyped-def]
    u, pos, neg = batch
    with pytest.raises(ValueError, match=r'\(5,\), \(5,\), \(1,\)\]'):
        LOSSES[name](*tables, (u, pos, neg[:1]))


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('shape', [(5, 1), (1, 5)])
def test_indices_that_are_no_vectors(name, shape, tables, batch) -> None:  # type: ignore[no-untyped-def]
    wrong = tuple(index.view(shape) for index in batch)
    with pytest.raises(ValueError, match=r"'batch'.*vectors.*\(got \["):
        LOSSES[name](*tables, wrong)


def test_l2_penalty() -> None:
    x, y = torch.randn(3, 2), torch.randn(4)
    assert torch.allclose(l2_penalty(x, y), (x**2).sum() + (y**2).sum())


def test_log_q_is_a_constant() -> None:
    user, item = torch.randn(3, 2), torch.randn(4, 2)
    index = torch.tensor([0, 1, 2])
    log_q = torch.randn(4, requires_grad=True)
    with pytest.raises(ValueError, match="'log_q' is a constant"):
        softmax_loss(user, item, (index, index, index), index, log_q=log_q)
