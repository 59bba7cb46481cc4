import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from pyg_darec.nn.functional import (
    center_alignment,
    gram_distance,
    match_centers,
    orthogonality,
)


def pair(n: int = 6, d: int = 3, e: int = 3, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(
            n, width, generator=generator, dtype=torch.float64
        ).requires_grad_()
        for width in (d, e)
    ]


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def test_orthogonality() -> None:
    x, y = pair()
    cosine = torch.cosine_similarity(x, y, dim=1)
    assert torch.allclose(orthogonality(x, y), (cosine**2).mean())
    assert torch.allclose(orthogonality(x, y), orthogonality(y, x))
    assert torch.allclose(orthogonality(x, -3 * x).float(), torch.ones(()))
    assert orthogonality(torch.eye(4), torch.eye(4).roll(1, 0)) == 0
    assert gradcheck(orthogonality, (x, y))


@settings(max_examples=25)
@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 6))
def test_gram_distance_equals_the_formula(n: int, d: int, e: int) -> None:
    x, y = pair(n, d, e)
    gap = unit(x) @ unit(x).t() - unit(y) @ unit(y).t()
    assert torch.allclose(gram_distance(x, y), gap.square().sum() / n**2)


def test_gram_distance_properties() -> None:
    x, y = pair(d=3, e=5)
    assert torch.allclose(gram_distance(x, y), gram_distance(y, x))
    rotation = torch.linalg.qr(torch.randn(3, 3).double())[0]
    assert gram_distance(x, 2 * x @ rotation) < 1e-12
    assert gradcheck(gram_distance, (x, y))
    assert gram_distance(x[:0], y[:0]) == 0


def test_gram_distance_builds_no_square_matrix() -> None:
    x = torch.randn(200_000, 4)  # its square would take 160 GB
    assert gram_distance(x, x) < 1e-6


@pytest.mark.parametrize('seed', range(5))
def test_optimal_matching(seed: int) -> None:
    x, y = pair(5, seed=seed)
    distance = torch.cdist(x, y)
    best = min(
        itertools.permutations(range(5)),
        key=lambda perm: float(distance[range(5), list(perm)].detach().sum()),
    )
    assert match_centers(x, y, 'optimal').tolist() == list(best)


@pytest.mark.parametrize('seed', range(5))
def test_greedy_matching(seed: int) -> None:
    x, y = pair(6, seed=seed)
    distance = torch.cdist(x, y)
    expected, used = {}, set()
    for flat in distance.flatten().argsort().tolist():
        row, col = divmod(flat, 6)
        if row not in expected and col not in used:
            expected[row] = col
            used.add(col)
    match = match_centers(x, y, 'greedy').tolist()
    assert match == [expected[row] for row in range(6)]


@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.bfloat16, torch.float32]
)
def test_matching_finds_a_permutation(dtype: torch.dtype) -> None:
    x = torch.randn(8, 4).to(dtype)
    perm = torch.randperm(8)
    for method in ('greedy', 'optimal'):
        assert torch.equal(match_centers(x, x[perm], method), perm.argsort())
    with pytest.raises(ValueError, match="'matching'"):
        match_centers(x, x, 'some')  # type: ignore[arg-type]


def test_center_alignment() -> None:
    x, y = pair(4)
    cosine = unit(x) @ unit(y).t()
    attract = sum((cosine[k, k] - 1) ** 2 for k in range(4)) / 4
    repel = sum(cosine[k, m] ** 2 for k in range(4) for m in range(4) if k != m)
    assert torch.allclose(center_alignment(x, y), attract + repel / 12)
    assert gradcheck(center_alignment, (x, y))
    eye = torch.eye(5)
    assert center_alignment(eye, 3 * eye) == 0
    assert center_alignment(eye[:1], -eye[:1]) == 4  # one centre


def test_nothing_is_repeated() -> None:
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"'shared' needs .*\(got \(1, 2\)\)"):
        orthogonality(x, x[:1])
    with pytest.raises(ValueError, match=r"'y' needs .*\(got \(1, 2\)\)"):
        center_alignment(x, x[:1])


def test_matching_of_centres_far_away() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(32, 16, generator=generator) + 1000
    order = torch.randperm(32, generator=generator)
    for method in ('greedy', 'optimal'):
        match = match_centers(x, x[order], method)
        assert order[match].tolist() == list(range(32))
