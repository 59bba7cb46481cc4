from typing import Any, Literal

import numpy as np
import pytest
import torch

from pyg_darec.checks import (
    as_seed,
    check_choice,
    check_count,
    check_embeddings,
    check_index,
    check_positive,
    check_weight,
)

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('x', 'got'),
    [
        ([[1.0, 2.0], [3.0]], "'list'"),
        (torch.ones(3, 2).numpy(), "'ndarray'"),
        (torch.eye(3).to_sparse(), 'torch.sparse_coo torch.float32'),
        (torch.ones(3, 2, dtype=torch.complex64), 'torch.complex64'),
        (torch.ones(3, 2, dtype=torch.bool), 'torch.bool'),
        (torch.ones(3, 2, 2), r'torch.float32 of shape \(3, 2, 2\)'),
    ],
)
def test_embeddings_of_the_wrong_kind(x: object, got: str) -> None:
    with pytest.raises(ValueError, match=f'of users need.*3 rows.*got {got}'):
        check_embeddings('user', x, 3)  # type: ignore[arg-type]


def test_large_embeddings_are_finite() -> None:
    x = torch.full((3, 2), 1e308, dtype=torch.float64)
    check_embeddings('user', x, 3)  # although their sum is not
    x[1, 1] = INF
    with pytest.raises(ValueError, match='row 1'):
        check_embeddings('user', x, 3)


@pytest.mark.parametrize(
    ('index', 'got'),
    [
        ([[0], [0]], "'list'"),
        (torch.zeros(2, 1).long().numpy(), "'ndarray'"),
        (torch.zeros(2, 1, dtype=torch.complex64), 'torch.complex64'),
    ],
)
def test_index_of_the_wrong_kind(index: object, got: str) -> None:
    with pytest.raises(ValueError, match=rf'train interactions.*\(got {got}'):
        check_index('train', index, 3, 3)  # type: ignore[arg-type]


def test_numbers() -> None:
    check_weight(a=0, b=1.5)
    check_positive(a=1e-3)
    for seed in (0, np.int64(7), np.uint8(7)):
        assert type(as_seed(seed)) is int
        assert as_seed(seed) == seed
    for value in (-1, NAN, INF, 'a'):
        got = rf"'b'.*\(got {value!r}\)"
        with pytest.raises(ValueError, match=got):
            check_weight(a=1, b=value)
        with pytest.raises(ValueError, match=got):
            check_positive(a=1, b=value)
    with pytest.raises(ValueError, match="'a' needs to be finite and pos"):
        check_positive(a=0)
    for seed in (-1, 1.5, 2.0, 'a', True, np.True_, np.int64(-1), None):
        with pytest.raises(ValueError, match="'seed' needs to be an integer"):
            as_seed(seed)


def test_counts() -> None:
    check_count(a=1, b=None, c=np.int64(1))
    for count in (0, 1.0, '1', True, torch.ones(2)):
        got = rf"'b' needs to be a positive integer \(got {count!r:.4}"
        with pytest.raises(ValueError, match=got):
            check_count(a=1, b=count)


@pytest.mark.parametrize('choices', [('a', 'b'), Literal['a', 'b']])
def test_choice(choices: Any) -> None:
    check_choice('option', 'b', choices)
    for value in ('c', None):
        match = rf"'option' needs to be one of \('a', 'b'\) \(got {value!r}\)"
        with pytest.raises(ValueError, match=match):
            check_choice('option', value, choices)
