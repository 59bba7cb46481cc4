import pytest

from pyg_darec.loader.seed import derive_seed


def test_seeds_are_stable_distinct_and_in_range():
    seeds = {derive_seed(i, j) for i in range(20) for j in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, 5) == derive_seed(3, 5)
    assert derive_seed(3, 5) != derive_seed(5, 3)


def test_negative_number():
    with pytest.raises(ValueError, match='non-negative'):
        derive_seed(-1)
