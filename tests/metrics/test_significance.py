import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pyg_darec.metrics import compare, holm


def values(*shape: int, seed: int = 0, shift: float = 0.0) -> Tensor:
    """Skewed, as metrics are, and positive."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.beta(0.8, 4, shape) + shift)


def share_significant(
    draw: Callable[[np.random.Generator], tuple[Any, Any]],
    num: int = 500,
    **options: Any,
) -> float:
    """How often the difference of two methods is found significant."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(num):
        a, b = (torch.from_numpy(x) for x in draw(rng))
        found += compare(a, b, num_resamples=1, **options).p_value < 0.05
    return found / num


def test_means_and_gain() -> None:
    out = compare(torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.4]))
    assert out.mean_a == pytest.approx(0.3)
    assert out.mean_b == pytest.approx(0.25)
    assert out.gain == pytest.approx(0.2)
    assert all(type(value) is float for value in out)


@pytest.mark.parametrize('num_users', [2, 7, 60, 500])
def test_equals_scipy(num_users: int) -> None:
    a, b = values(num_users), values(num_users, seed=1)
    expected = stats.ttest_rel(a, b).pvalue
    assert compare(a, b).p_value == pytest.approx(expected, rel=1e-9)
    expected = stats.wilcoxon(a, b).pvalue
    assert compare(a, b, test='wilcoxon').p_value == expected


def test_p_value_by_hand() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / sqrt(3)), and Student's distribution
    # with two degrees of freedom has a closed form.
    b = torch.ones(3)
    t = 2 * math.sqrt(3)
    expected = 1 - t / math.sqrt(2 + t**2)
    out = compare(b + torch.tensor([1, 2, 3]), b)
    assert out.p_value == pytest.approx(expected)
    # All signs alike: one of the 2^3 sign patterns on either side.
    out = compare(b + torch.tensor([1, 2, 3]), b, test='wilcoxon')
    assert out.p_value == pytest.approx(2 / 8)


def test_averages_over_seeds_before_it_pairs_users() -> None:
    a, b = values(5, 40), values(5, 40, seed=1)
    expected = compare(a.mean(dim=0), b.mean(dim=0))
    assert compare(a, b) == pytest.approx(expected)


def test_averages_over_users_before_it_pairs_seeds() -> None:
    a, b = values(5, 40), values(5, 40, seed=1)
    out = compare(a, b, over='seeds')
    expected = stats.ttest_rel(a.mean(dim=1), b.mean(dim=1)).pvalue
    assert out.p_value == pytest.approx(expected, rel=1e-9)
    assert out.mean_a == pytest.approx(float(a.mean()))


@pytest.mark.parametrize('test', ['t', 'wilcoxon'])
def test_rounding_is_no_evidence(test: str) -> None:
    a = torch.full((5, 1), 0.3, dtype=torch.double)
    b = torch.full((5, 1), 0.1, dtype=torch.double) + 0.2
    assert not torch.equal(a, b)
    assert compare(a, b, over='seeds', test=test).p_value == 1


def test_equal_differences_are_ties() -> None:
    """Whatever 0.3 - 0.2 is in the computer."""
    tenths = [(3, 2), (1, 0), (7, 6), (4, 5), (9, 7), (2, 5)]
    x, y = torch.tensor(tenths, dtype=torch.double).t()
    wanted = compare(x, y, test='wilcoxon').p_value
    assert compare(x / 10, y / 10, test='wilcoxon').p_value == wanted


def test_wilcoxon_over_five_seeds_is_never_significant() -> None:
    a, b = values(5, 40, shift=1.0), values(5, 40)
    assert compare(a, b, over='seeds').p_value < 1e-4
    out = compare(a, b, over='seeds', test='wilcoxon')
    assert out.p_value == pytest.approx(2 / 2**5)


# Intervals


def test_bootstrap_agrees_with_scipy() -> None:
    a, b = values(400), values(400, seed=1)

    def ratio(x: Any, y: Any, axis: int) -> Any:
        return x.mean(axis=axis) / y.mean(axis=axis) - 1

    expected = stats.bootstrap(
        (a.numpy(), b.numpy()),
        ratio,
        paired=True,
        vectorized=True,
        method='percentile',
        n_resamples=20000,
        batch=500,
        rng=np.random.default_rng(1),  # draws of its own, always the same
    ).confidence_interval
    out = compare(a, b, num_resamples=20000)
    assert (out.low, out.high) == pytest.approx(expected, abs=0.005)
    assert out.low < out.gain < out.high


@pytest.mark.parametrize('over', ['users', 'seeds'])
def test_interval_covers_the_true_gain(over: Any) -> None:
    rng = np.random.default_rng(0)
    covered, num = 0, 300
    for _ in range(num):
        if over == 'users':
            level = rng.beta(0.8, 4, 200)
            a = 1.2 * level + rng.normal(0, 0.05, 200)
            b = level
        else:  # five seeds, and the users matter by their mean alone
            a = rng.normal(0.24, 0.01, (5, 1))
            b = rng.normal(0.2, 0.01, (5, 1))
        out = compare(
            torch.from_numpy(a),
            torch.from_numpy(b),
            over=over,
            num_resamples=300,
        )
        covered += out.low <= 0.2 <= out.high
    assert 0.92 <= covered / num <= 0.975


def test_interval_by_hand() -> None:
    # For a constant b, Fieller's interval is Student's of the mean of a / b.
    a, b = values(6, 1), torch.full((6, 1), 0.5)
    out = compare(a, b, over='seeds', confidence=0.9)
    gain = (a / 0.5 - 1).flatten().numpy()
    expected = stats.ttest_1samp(gain, 0).confidence_interval(0.9)
    assert (out.low, out.high) == pytest.approx(tuple(expected))


@given(st.integers(0, 10**6), st.integers(2, 8), st.floats(0, 0.3))
def test_interval_over_seeds_agrees_with_its_test(
    seed: int, num_seeds: int, shift: float
) -> None:
    a = values(num_seeds, 3, seed=seed, shift=1 + shift)
    b = values(num_seeds, 3, seed=seed + 1, shift=1)
    out = compare(a, b, over='seeds', confidence=0.95)
    if out.high < math.inf:
        assert (out.low <= 0 <= out.high) == (out.p_value >= 0.05)
    else:  # where b may be 0, with few seeds, gains are of any size
        assert out.low == -math.inf


def test_same_seed_same_interval() -> None:
    a, b = values(50), values(50, seed=1)
    state = torch.get_rng_state()
    assert compare(a, b) == compare(a, b)
    assert compare(a, b).low != compare(a, b, seed=1).low
    assert torch.get_rng_state().equal(state)


# What the tests promise


@pytest.mark.parametrize('test', ['t', 'wilcoxon'])
def test_false_positives(test: str) -> None:
    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        level = rng.beta(0.8, 4, 80)  # which the two methods share
        noise = rng.exponential(0.1, (2, 80))
        return level + noise[0], level + noise[1]

    assert 0.03 <= share_significant(draw, test=test) <= 0.07


@pytest.mark.parametrize('test', ['t', 'wilcoxon'])
def test_power(test: str) -> None:
    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        level = 5 * rng.beta(0.8, 4, 80)
        noise = rng.exponential(0.1, (2, 80))
        return level + noise[0] + 0.1, level + noise[1]

    assert share_significant(draw, test=test) > 0.99
    # The same without pairing, which shows what pairing is for.
    rng = np.random.default_rng(0)
    unpaired = [stats.ttest_ind(*draw(rng)).pvalue < 0.05 for _ in range(500)]
    assert np.mean(unpaired) < 0.2


def test_only_seeds_show_the_luck_of_a_training() -> None:
    """Two methods that are the same, with five trainings each, of which
    every one is good or bad luck for all of its users.
    """

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        level = rng.beta(0.8, 4, 300)
        luck = rng.normal(0, 0.02, (2, 5, 1))
        noise = rng.normal(0, 0.05, (2, 5, 300))
        return level + luck[0] + noise[0], level + luck[1] + noise[1]

    assert share_significant(draw, over='users') > 0.5
    assert 0.03 <= share_significant(draw, over='seeds') <= 0.07


# Degenerate input


@pytest.mark.parametrize('over', ['users', 'seeds'])
@pytest.mark.parametrize('test', ['t', 'wilcoxon'])
@pytest.mark.filterwarnings('error')
def test_identical(over: Any, test: Any) -> None:
    a = values(3, 20)
    out = compare(a, a, over=over, test=test)
    assert (out.gain, out.low, out.high) == pytest.approx((0, 0, 0), abs=1e-9)
    assert out.p_value == 1.0


@pytest.mark.filterwarnings('error')
def test_constant_difference() -> None:
    b = torch.arange(8.0)
    out = compare(b + 1, b)
    assert out.p_value == 0.0
    assert 0 < out.low < out.gain < out.high
    # All one sign: as far as ranks can go.
    assert compare(b + 1, b, test='wilcoxon').p_value < 0.01
    b = b.view(-1, 1)
    assert compare(b + 1, b, over='seeds').p_value == 0.0


@pytest.mark.parametrize('over', ['users', 'seeds'])
@pytest.mark.filterwarnings('error')
def test_nothing_to_be_better_than(over: Any) -> None:
    zero = torch.zeros(3, 20)
    for a in (zero, values(3, 20)):
        out = compare(a, zero, over=over)
        assert math.isnan(out.gain)
        assert (out.low, out.high) == (-math.inf, math.inf)
    assert compare(zero, zero, over=over).p_value == 1.0
    assert compare(zero, values(3, 20), over=over).gain == -1


@pytest.mark.filterwarnings('error')
def test_almost_nothing_to_be_better_than() -> None:
    # One user with a hit: every third draw of users has nobody to divide by.
    b = torch.zeros(20)
    b[0] = 1.0
    assert compare(values(20), b).high == math.inf
    assert compare(b, b).high == 0
    # Seeds that may as well be zero.
    a, b = values(3, 1), torch.tensor([[-0.1], [0.0], [0.2]])
    out = compare(a, b, over='seeds')
    assert (out.low, out.high) == (-math.inf, math.inf)


def test_one_seed() -> None:
    for a in (values(20), values(1, 20)):
        assert 0 < compare(a, a + values(20, seed=1)).p_value < 1
        with pytest.raises(ValueError, match=r'at least two seeds .*\(got sh'):
            compare(a, a, over='seeds')
    with pytest.raises(ValueError, match=r'at least two users .*\(3, 1\)'):
        compare(values(3, 1), values(3, 1))


@pytest.mark.parametrize(
    ('a', 'b', 'message'),
    [
        (values(4), values(5), r"'a' and 'b' are paired.*\(4,\) and \(5,\)"),
        (values(2, 4), values(3, 4), r'same users and seeds'),
        (values(2, 2, 2), values(4), r"'a' needs one value per user"),
        (values(4), [1, 2], r"'b' needs one value .*\(got 'list'\)"),
        (values(2), torch.tensor([0, math.nan]), r"'b' needs to be finite"),
    ],
)
def test_wrong_values(a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(a, b)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'over': 'items'}, r"'over' needs to be one of .*\(got 'items'\)"),
        ({'test': 'z'}, r"'test' needs to be one of .*\(got 'z'\)"),
        ({'confidence': 95}, r"'confidence'.*between 0 and 1 \(got 95\)"),
        ({'num_resamples': 0}, r"'num_resamples'.*positive integer \(got 0\)"),
        ({'seed': -1}, r"'seed'.*\(got -1\)"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(values(4), values(4), **options)


# Several tests


def test_holm_by_hand() -> None:
    # .005 * 4, .01 * 3, .03 * 2, and .04 * 1 is not below the one before.
    got = holm([0.01, 0.04, 0.03, 0.005])
    assert got == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm(pd.Series([0.04, 0.01], index=[1, 0])) == [0.04, 0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_step_by_step(p_values: list[float]) -> None:
    """As the paper has it: from the smallest on, stop at the first p-value
    above level / (number of tests that are left).
    """
    level, rejected = 0.05, set()
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        if (len(order) - rank) * p_values[i] > level:
            break
        rejected.add(i)
    got = holm(p_values)
    assert {i for i, p in enumerate(got) if p <= level} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, got, strict=True))


def test_holm_keeps_its_promise() -> None:
    """Twenty true hypotheses: some test is below 0.05 nearly two times in
    three, but not after adjustment.
    """
    p = np.random.default_rng(0).random((2000, 20))
    assert (p.min(axis=1) < 0.05).mean() > 0.6
    assert np.mean([min(holm(list(row))) < 0.05 for row in p]) < 0.06


@pytest.mark.parametrize('p', [-0.1, 1.5, math.nan])
def test_holm_of_what_is_no_p_value(p: float) -> None:
    with pytest.raises(ValueError, match=rf"'p_values'.*\(got {p}\)"):
        holm([0.1, p])
