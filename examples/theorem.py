"""What perfect alignment costs, on distributions small enough to count.

    python examples/theorem.py

prints, for a few toy distributions of a collaborative view, a language view and
a target, how much each view knows about the target, the bound of Theorem 1 and
what aligned representations really lose. All in bits and exact: every
probability is a power of two. ``docs/theory.md`` has the theorem and the proof.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Bits = tuple[int, ...]


def entropy(p: Array) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def information(p: Array) -> float:
    """I(X; Y) of a joint distribution with Y on the last axis."""
    p = p.reshape(-1, p.shape[-1])
    return entropy(p.sum(axis=1)) + entropy(p.sum(axis=0)) - entropy(p)


def cross_entropy(p: Array, predictor: Array) -> float:
    """The expected -log2 of what a predictor gives to the true Y, for a
    predictor that is an array like p with rows that sum to one.
    """
    true = p > 0
    return float(-(p[true] * np.log2(predictor[true])).sum())


def optimal_cross_entropy(p: Array) -> float:
    """That of the conditional distribution of Y, which no predictor beats."""
    total = p.sum(axis=-1, keepdims=True)
    return cross_entropy(p, p / np.where(total > 0, total, 1))


def encode(p: Array, cf: Labels, llm: Labels) -> Array:
    """The distribution of (Z_C, Z_L, Y). An encoder is an array of labels: of
    shape (X_C, 1) if it sees the collaborative side only, of (1, X_L) if it
    sees the language side only.
    """
    cf, llm = np.broadcast_arrays(cf, llm, np.empty(p.shape[:2]))[:2]
    out = np.zeros((cf.max() + 1, llm.max() + 1, p.shape[2]))
    np.add.at(out, (cf, llm), p)
    return out


def misaligned(p: Array, cf: Labels, llm: Labels) -> float:
    """The probability that Z_C and Z_L differ."""
    return float(p.sum(axis=2)[np.broadcast_to(cf != llm, p.shape[:2])].sum())


def bound(p: Array) -> float:
    """Delta_p, the difference of what the two views know."""
    return abs(information(p.sum(axis=1)) - information(p.sum(axis=0)))


def loss(p: Array, cf: Labels, llm: Labels) -> float:
    """How much worse Y is predicted from (Z_C, Z_L) than from (X_C, X_L)."""
    coded = optimal_cross_entropy(encode(p, cf, llm))
    return coded - optimal_cross_entropy(p)


def common_part(p: Array) -> tuple[Labels, Labels]:
    """The perfectly aligned encoders that keep most: all others are functions
    of them. Values that occur together have to get the same label, so the
    labels are the connected components of the graph of such values.
    """
    num_cf, num_llm = p.shape[:2]
    cf, llm = p.sum(axis=2).nonzero()
    size = (num_cf + num_llm,) * 2
    graph = coo_array((np.ones(cf.size), (cf, num_cf + llm)), shape=size)
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    return label[:num_cf, None], label[None, num_cf:]


class Case(NamedTuple):
    p: Array
    cf: Labels
    llm: Labels


def from_bits(num_bits: int, views: Callable[..., tuple[Bits, ...]]) -> Array:
    """The distribution of (X_C, X_L, Y), each of which is some of a number of
    fair bits, read as a binary number.
    """
    outcomes = [
        tuple(sum(bit << i for i, bit in enumerate(reversed(v))) for v in view)
        for view in (views(*bits) for bits in product((0, 1), repeat=num_bits))
    ]
    p = np.zeros(np.max(outcomes, axis=0) + 1)
    for outcome in outcomes:
        p[outcome] += 0.5**num_bits
    return p


def make_cases() -> dict[str, Case]:
    # A bit s that both sides know, bits a and c of the collaborative side
    # alone, a bit b of the language side alone.
    nested = from_bits(2, lambda s, a: ((s, a), (s,), (s, a)))
    both = from_bits(4, lambda s, a, c, b: ((s, a, c), (s, b), (s, a, c, b)))
    xor = from_bits(2, lambda a, b: ((a,), (b,), (a ^ b,)))
    apart = from_bits(2, lambda a, b: ((a,), (b,), (a,)))
    two, four, eight = (np.arange(n) for n in (2, 4, 8))
    zero = np.zeros((1, 1), dtype=np.int64)
    return {
        'tight': Case(nested, four[:, None] // 2, two[None]),
        'strict': Case(both, eight[:, None] // 4, four[None] // 2),
        'with specific parts': Case(both, eight[:, None], four[None]),
        'only together': Case(xor, zero, zero),
        'equal in law': Case(apart, two[:, None], two[None]),
        'one a function of the other': Case(apart, two[:, None], zero),
        'sees the other side': Case(apart, two[:, None], two[:, None]),
    }


def main() -> None:
    print('| case | I(X_C; Y) | I(X_L; Y) | bound | loss | Z_C = Z_L |')
    print('|---' * 6 + '|')
    for name, (p, cf, llm) in make_cases().items():
        always = 'no' if misaligned(p, cf, llm) else 'yes'
        knows = (information(p.sum(axis=1)), information(p.sum(axis=0)))
        numbers = (*knows, bound(p), loss(p, cf, llm))
        columns = ' | '.join(f'{x:g}' for x in numbers)
        print(f'| {name} | {columns} | {always} |')


if __name__ == '__main__':
    main()
