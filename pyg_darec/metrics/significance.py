"""Whether one method is better than another, or only luckier."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pyg_darec.checks import (
    as_seed,
    check_choice,
    check_count,
    describe,
    is_dense,
)

Array: TypeAlias = npt.NDArray[np.float64]


class Comparison(NamedTuple):
    r"""What :func:`compare` found.

    Args:
        mean_a (float): The average metric of method A.
        mean_b (float): The average metric of method B.
        gain (float): The relative gain :math:`\bar{a} / \bar{b} - 1`, not a
            number if :obj:`mean_b` is zero.
        low (float): The lower end of the confidence interval of the gain.
        high (float): The upper end. An interval that is infinite says that
            B is too close to zero for a ratio to mean anything.
        p_value (float): How likely differences as large as these are,
            in either direction, if the two methods do not differ.
    """

    mean_a: float
    mean_b: float
    gain: float
    low: float
    high: float
    p_value: float


def compare(
    a: Tensor,
    b: Tensor,
    over: Literal['users', 'seeds'] = 'users',
    test: Literal['t', 'wilcoxon'] = 't',
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    r"""Compares two methods by the metric of the same users, from models
    that were trained with one or more seeds.

    What the answer is good for depends on what is counted as a repetition:

    - :obj:`over='users'` averages each user over seeds and pairs the users.
      The question is whether *these trained models* would differ for other
      users too. With thousands of users it finds very small differences, but
      it takes the luck of a training, which all users share, for a property
      of the method: methods that are equal come out as significantly
      different, the more so with few seeds.
    - :obj:`over='seeds'` averages each seed over users and pairs the seeds.
      The question is whether *other trainings* would differ for these
      users. Only this test sees the luck of a training.

    A claim about methods needs both: report the larger of the two
    p-values, and correct it with :func:`holm` if several methods, metrics
    or datasets are tested. A claim about two models at hand, say which one
    to deploy, needs the first only. Neither says anything about another
    dataset or another split.

    The t-test is about the mean, which is what tables print, and at ease
    with thousands of skewed values. The Wilcoxon signed-rank test is about
    ranks and takes the differences to be symmetric; values that are equal
    do not count. It cannot reach :math:`p < 0.05` with fewer than six
    seeds.

    The confidence interval is that of the ratio of the means, over the same
    repetitions. Over users, it is a percentile bootstrap that draws users
    with replacement. Over seeds, it is Fieller's (`"Some Problems in
    Interval Estimation" <https://doi.org/10.1111/j.2517-6161.1954.tb00159.x>`_),
    which contains a gain of zero exactly if the t-test is not significant, or
    if it is infinite. A bootstrap of five values is too narrow: meant to cover
    95 %, it covers 85 %.

    Args:
        a (torch.Tensor): The metric of every user for method A, such as
            :obj:`Evaluation.per_user['Recall@20']`, one row per seed if
            there are several.
        b (torch.Tensor): The same for method B: the same users in the same
            order, and the same seeds.
        over (str, optional): What is paired, :obj:`'users'` or
            :obj:`'seeds'`. (default: :obj:`'users'`)
        test (str, optional): The two-sided paired test, :obj:`'t'` or
            :obj:`'wilcoxon'`. (default: :obj:`'t'`)
        confidence (float, optional): The coverage of the interval.
            (default: :obj:`0.95`)
        num_resamples (int, optional): The number of times that users are
            drawn. (default: :obj:`2000`)
        seed (int, optional): The seed of these draws. (default: :obj:`0`)

    Shapes:
        - **a, b:** :math:`(U)` or :math:`(S, U)`

    Raises:
        ValueError: If the two do not fit each other or are not finite, if
            there are fewer than two repetitions, or if an option is out of
            range.
    """
    check_choice('over', over, ('users', 'seeds'))
    check_choice('test', test, ('t', 'wilcoxon'))
    if not 0 < confidence < 1:
        raise ValueError(
            f"'confidence' needs to be between 0 and 1 (got {confidence})"
        )
    check_count(num_resamples=num_resamples)
    seed = as_seed(seed)
    x, y = _repetitions('a', a, over), _repetitions('b', b, over)
    if a.shape != b.shape:
        raise ValueError(
            "'a' and 'b' are paired and need the same users and seeds "
            f'(got shapes {tuple(a.shape)} and {tuple(b.shape)})'
        )

    mean_a, mean_b = float(x.mean()), float(y.mean())
    gain, low, high = float('nan'), -float('inf'), float('inf')
    if mean_b != 0:
        gain = mean_a / mean_b - 1
        if over == 'users':
            low, high = _bootstrap(x, y, confidence, num_resamples, seed)
        else:
            low, high = _fieller(x, y, confidence)
    p_value = _p_value(_difference(x, y), test)
    return Comparison(mean_a, mean_b, gain, low, high, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Adjusts the p-values of several tests so that, with all of them read
    at level :math:`\alpha`, the chance of any false discovery is at most
    :math:`\alpha`, however the tests depend on each other (`"A Simple
    Sequentially Rejective Multiple Test Procedure"
    <https://www.jstor.org/stable/4615733>`_). With
    :math:`p_{(1)} \le \dots \le p_{(m)}`,

    .. math::
        \tilde{p}_{(i)} = \max_{j \le i} \min \left( 1,
        (m - j + 1) \, p_{(j)} \right).

    Args:
        p_values (Sequence[float]): The p-values of all tests that were made,
            not only of those to be reported.

    Returns:
        The adjusted p-values, in the order given.

    Raises:
        ValueError: If a p-value is not in :math:`[0, 1]`.
    """
    p_values = list(p_values)  # a series is indexed by its labels
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        if not 0 <= p_values[i] <= 1:
            raise ValueError(
                f"'p_values' need to be between 0 and 1 (got {p_values[i]})"
            )
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _repetitions(name: str, value: Tensor, over: str) -> Array:
    """The values to pair, averaged over what is no repetition."""
    if not is_dense(value) or value.dim() not in (1, 2):
        raise ValueError(
            f"'{name}' needs one value per user, or a row of them per seed "
            f'(got {describe(value)})'
        )
    if not bool(value.isfinite().all()):
        raise ValueError(f"'{name}' needs to be finite (got NaN or Inf)")
    table: Array = value.detach().double().cpu().numpy()
    table = table.reshape(-1, table.shape[-1])
    out: Array = table.mean(axis=0 if over == 'users' else 1)
    if out.size < 2:
        raise ValueError(
            f"'{name}' needs at least two {over} for a comparison over "
            f'{over} (got shape {tuple(value.shape)})'
        )
    return out


def _difference(x: Array, y: Array) -> Array:
    """In units of the largest value, without the rounding of sums, which is
    no evidence and makes equal differences others.
    """
    scale = float(max(np.abs(x).max(), np.abs(y).max())) or 1.0
    out: Array = np.round((x - y) / scale, 12)
    return out


def _p_value(difference: Array, test: str) -> float:
    if not difference.any():  # neither test is defined
        return 1.0
    if test == 'wilcoxon':
        return float(_stats().wilcoxon(difference).pvalue)
    error = difference.std(ddof=1) / np.sqrt(difference.size)
    with np.errstate(divide='ignore'):  # one and the same difference for all
        t = np.abs(difference.mean()) / error
    return float(2 * _stats().t.sf(t, difference.size - 1))


def _bootstrap(
    x: Array, y: Array, confidence: float, num_resamples: int, seed: int
) -> tuple[float, float]:
    rng: Any = np.random.default_rng(seed)
    pair = np.stack([x, y], axis=1)
    total = np.empty((num_resamples, 2))
    for i in range(num_resamples):
        # How often each user was drawn: a gather of the values is slower.
        drawn = rng.integers(x.size, size=x.size)
        total[i] = np.bincount(drawn, minlength=x.size) @ pair
    with np.errstate(divide='ignore', invalid='ignore'):
        ratio = total[:, 0] / total[:, 1]
    ratio = ratio[~np.isnan(ratio)]  # 0 / 0: nobody with a hit was drawn
    if ratio.size == 0:
        return -float('inf'), float('inf')
    tail = (1 - confidence) / 2
    # Does not interpolate, which infinite ratios would not survive.
    low, high = np.quantile(ratio, [tail, 1 - tail], method='inverted_cdf')
    return float(low) - 1, float(high) - 1


def _fieller(x: Array, y: Array, confidence: float) -> tuple[float, float]:
    """All ratios r for which the t-test of x - r y is not significant."""
    t = _stats().t.ppf((1 + confidence) / 2, x.size - 1)
    (xx, xy), (_, yy) = t**2 * np.cov(x, y) / x.size
    # The roots of (mean x - r mean y)^2 = t^2 var(x - r y) / n.
    quadratic = y.mean() ** 2 - yy
    linear = x.mean() * y.mean() - xy
    if quadratic <= 0:  # y may as well be zero
        return -float('inf'), float('inf')
    root = linear**2 - quadratic * (x.mean() ** 2 - xx)
    spread = np.sqrt(max(root, 0.0))
    low, high = (linear - spread) / quadratic, (linear + spread) / quadratic
    return float(low) - 1, float(high) - 1


def _stats() -> Any:
    from scipy import stats  # takes half a second, which few have a use for

    return stats
