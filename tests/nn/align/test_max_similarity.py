import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyg_darec.nn.align import max_similarity
from pyg_darec.nn.align.max_similarity import max_similarity_nce
from pyg_darec.nn.functional import info_nce


def direct(anchor: Tensor, candidate: Tensor, tau: float) -> Tensor:
    """One pair after the other."""
    total = torch.zeros(()).double()
    for i in range(len(anchor)):
        s = torch.stack(
            [
                sum((c @ part).max() for part in anchor[i])  # type: ignore[misc]
                for c in candidate
            ]
        )
        total = total - torch.log((s[i] / tau).exp() / (s / tau).exp().sum())
    return total


def pair(n: int = 9, m: int = 3, d: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    shape = (2, n, m, d)
    a, c = torch.randn(shape, generator=generator, dtype=torch.double)
    return a.requires_grad_(), c.requires_grad_()


@pytest.mark.parametrize('rows', [1, 4, 64])
@pytest.mark.parametrize('num_parts', [1, 3])
def test_equals_the_formula(
    num_parts: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_similarity, '_MIN_ROWS', rows)
    monkeypatch.setattr(max_similarity, '_BLOCK', {'cpu': 1, 'cuda': 1})
    a, c = pair(m=num_parts)
    got, expected = max_similarity_nce(a, c, 0.7), direct(a, c, 0.7)
    assert torch.allclose(got, expected, atol=1e-10)
    grads = [torch.autograd.grad(2 * x, (a, c)) for x in (got, expected)]
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_gradcheck() -> None:
    a, c = pair(5, 2, 3)
    torch.autograd.gradcheck(lambda x, y: max_similarity_nce(x, y, 0.5), (a, c))


def test_single_vectors_are_info_nce() -> None:
    a, c = (torch.nn.functional.normalize(x, dim=-1) for x in pair(m=1))
    expected = info_nce(a[:, 0], c[:, 0], c[:, 0], 0.3)
    assert torch.allclose(max_similarity_nce(a, c, 0.3), expected)


@pytest.mark.parametrize('scale', [0.0, 1e4])
def test_stays_finite(scale: float) -> None:
    a, c = (x.detach().float() * scale for x in pair())
    a.requires_grad_(), c.requires_grad_()
    loss = max_similarity_nce(a, c, 0.01)
    loss.backward()
    for x in (loss, a.grad, c.grad):
        assert x is not None
        assert x.isfinite().all()


def test_ties_go_to_one_vector() -> None:
    a = torch.randn(6, 1, 4).double()
    c = torch.randn(6, 1, 4).double()
    once, twice = c.requires_grad_(), c.detach().repeat(1, 2, 1)
    twice.requires_grad_()
    max_similarity_nce(a, once, 0.5).backward()
    max_similarity_nce(a, twice, 0.5).backward()
    assert once.grad is not None
    assert twice.grad is not None
    assert torch.allclose(twice.grad.sum(dim=1, keepdim=True), once.grad)


def test_no_rows() -> None:
    a = torch.zeros(0, 2, 3, requires_grad=True)
    loss = max_similarity_nce(a, a, 0.5)
    loss.backward()
    assert loss == 0


class Largest(TorchDispatchMode):
    """The size of the largest tensor that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, tuple | list) else [out]:
            if isinstance(x, Tensor):
                self.numel = max(self.numel, x.numel())
        return out


def test_no_matrix_of_all_pairs() -> None:
    num = 3000
    a = torch.randn(num, 2, 4, requires_grad=True)
    with Largest() as largest:
        max_similarity_nce(a, a, 0.5).backward()
    assert largest.numel <= 1 << 18 < num * num / 30
