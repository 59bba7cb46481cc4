import math

import pytest
import torch

from pyg_darec.nn.functional import effective_rank, mean_cosine


def test_effective_rank_by_the_formula():
    torch.manual_seed(0)
    x = torch.randn(50, 8)
    center = x.double() - x.double().mean(dim=0)
    eigen = torch.linalg.eigvalsh(center.t() @ center).sqrt()
    p = eigen / eigen.sum()
    expected = math.exp(-sum(v * math.log(v) for v in p.tolist()))
    assert float(effective_rank(x)) == pytest.approx(expected, rel=1e-9)


def test_effective_rank_of_known_shapes():
    square = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert float(effective_rank(square + 7)) == pytest.approx(2)
    line = torch.arange(9.0)[:, None] * torch.tensor([[1.0, 2, 3]]) + 0.1
    assert float(effective_rank(line)) == pytest.approx(1, abs=1e-6)
    assert float(effective_rank(torch.full((5, 3), 0.1))) == 0
    assert float(effective_rank(torch.zeros(5, 3))) == 0


def test_mean_cosine_by_the_formula():
    torch.manual_seed(0)
    x = torch.randn(20, 3)
    x[4] = 0
    pairs = [
        float(torch.cosine_similarity(x[i], x[j], dim=0))
        for i in range(20)
        for j in range(20)
        if i != j
    ]
    expected = sum(pairs) / len(pairs)
    assert float(mean_cosine(x)) == pytest.approx(expected, abs=1e-6)
    assert float(mean_cosine(torch.ones(4, 2))) == pytest.approx(1)
