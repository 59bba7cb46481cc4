"""The theorem on every finite distribution that Hypothesis comes up with."""

import importlib.util
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'examples' / 'theorem.py'


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location('theorem', SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['theorem'] = module  # where a NamedTuple looks itself up
    spec.loader.exec_module(module)
    return module


theorem = load()
Distribution = st.SearchStrategy[np.ndarray]


def distributions(most: int) -> Distribution:
    """Over (X_C, X_L, Y). Many pairs (x_C, x_L) are impossible, without which
    nothing but constants is perfectly aligned.
    """

    def weigh(draw: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        weight, possible = draw
        weight = weight * possible[:, :, None]
        assume(weight.sum() > 0)
        return weight / weight.sum()

    size = st.integers(2, most)
    return (
        st.tuples(size, size, st.integers(2, 3))
        .flatmap(
            lambda n: st.tuples(
                arrays(float, n, elements=st.integers(0, 9).map(float)),
                arrays(bool, n[:2]),
            )
        )
        .map(weigh)
    )


def information_given(p: np.ndarray) -> float:
    """I(X; Y | Z) of a distribution of (Z, X, Y)."""
    return sum(
        z.sum() * theorem.information(z / z.sum()) for z in p if z.sum() > 0
    )


def best_bound(p: np.ndarray) -> float:
    """The larger of I(X_C; Y | X_L) and I(X_L; Y | X_C)."""
    swapped = p.transpose(1, 0, 2)
    return max(information_given(p), information_given(swapped))


@given(p=distributions(3))
@settings(max_examples=25)
def test_all_pairs_of_encoders(p: np.ndarray) -> None:
    """Every pair of encoders into three labels, found to be aligned or not
    by counting.
    """
    num_cf, num_llm, _ = p.shape
    best = theorem.loss(p, *theorem.common_part(p))
    num_aligned = 0
    for labels in product(range(3), repeat=num_cf + num_llm):
        cf = np.array(labels[:num_cf])[:, None]
        llm = np.array(labels[num_cf:])[None]
        loss = theorem.loss(p, cf, llm)
        differ = theorem.misaligned(p, cf, llm)
        if differ == 0:
            num_aligned += 1
            assert loss >= theorem.bound(p) - 1e-12
            assert loss >= best_bound(p) - 1e-12
            assert loss >= best - 1e-12
        # Nearly aligned: Fano's inequality takes its part off the bound.
        slack = theorem.entropy(np.array([differ, 1 - differ])) + differ
        assert loss >= theorem.bound(p) - slack - 1e-12
    assert num_aligned >= 3  # the constant ones


@given(p=distributions(8), data=st.data())
@settings(max_examples=150)
def test_aligned_encoders(p: np.ndarray, data: st.DataObject) -> None:
    cf, llm = theorem.common_part(p)
    coarser = data.draw(arrays(int, 16, elements=st.integers(0, 5)))
    finest = theorem.loss(p, cf, llm)
    loss = theorem.loss(p, coarser[cf], coarser[llm])
    assert theorem.misaligned(p, cf, llm) == 0
    assert theorem.misaligned(p, coarser[cf], coarser[llm]) == 0
    assert theorem.bound(p) <= best_bound(p) + 1e-12
    assert best_bound(p) <= finest + 1e-12
    assert finest <= loss + 1e-12

    # A rotation of one of them, here a renaming, changes nothing.
    renamed = data.draw(st.permutations(range(6)))
    llm = np.array(renamed)[coarser[llm]]
    same = theorem.loss(p, coarser[cf], llm)
    assert same == pytest.approx(loss, abs=1e-12)


@given(p=distributions(5), data=st.data())
@settings(max_examples=80)
def test_stochastic_encoders(p: np.ndarray, data: st.DataObject) -> None:
    """Both sides draw with the same dice, which know nothing of Y."""
    label, _ = theorem.common_part(p)
    num = int(label.max()) + 1
    coded = np.zeros((num, p.shape[2]))
    np.add.at(coded, label[:, 0], p.sum(axis=1))
    kernel = data.draw(arrays(float, (num, 4), elements=st.floats(0.1, 1)))
    kernel /= kernel.sum(axis=1, keepdims=True)
    z = kernel.T @ coded
    known = theorem.information(p)
    assert known - theorem.information(z) >= theorem.bound(p) - 1e-12


@given(p=distributions(4), data=st.data())
@settings(max_examples=80)
def test_the_optimum_is_a_conditional_entropy(
    p: np.ndarray, data: st.DataObject
) -> None:
    optimal = theorem.optimal_cross_entropy(p)
    conditional = theorem.entropy(p) - theorem.entropy(p.sum(axis=2))
    assert optimal == pytest.approx(conditional, abs=1e-12)
    target = theorem.entropy(p.sum(axis=(0, 1)))
    known = theorem.information(p)
    assert optimal == pytest.approx(target - known, abs=1e-12)

    other = data.draw(arrays(float, p.shape, elements=st.floats(0.01, 1)))
    other /= other.sum(axis=-1, keepdims=True)
    assert theorem.cross_entropy(p, other) >= optimal - 1e-12


def test_toy_cases() -> None:
    """In exact numbers: no tolerance."""
    cases = theorem.make_cases()
    got = {
        name: (
            theorem.bound(case.p),
            theorem.loss(*case),
            theorem.misaligned(*case),
        )
        for name, case in cases.items()
    }
    assert got == {
        'tight': (1, 1, 0),
        'strict': (1, 3, 0),
        'with specific parts': (1, 0, 0.875),
        'only together': (0, 1, 0),
        'equal in law': (1, 0, 0.5),
        'one a function of the other': (1, 0, 0.5),
        'sees the other side': (1, 0, 0),
    }
    equal = theorem.encode(*cases['equal in law'])
    assert equal.sum(axis=(1, 2)).tolist() == equal.sum(axis=(0, 2)).tolist()


@pytest.mark.parametrize('name', ['tight', 'strict', 'only together'])
def test_toy_encoders_are_the_best(name: str) -> None:
    p, cf, llm = theorem.make_cases()[name]
    best = theorem.loss(p, *theorem.common_part(p))
    assert theorem.loss(p, cf, llm) == best


@pytest.mark.parametrize('name', ['tight', 'strict', 'only together'])
def test_when_the_bound_is_tight(name: str) -> None:
    """The rest is what the poorer side adds to the richer one, and what the
    aligned pair forgets of what the poorer side knows.
    """
    p, cf, llm = theorem.make_cases()[name]
    rest = theorem.loss(p, cf, llm) - theorem.bound(p)
    added = information_given(p)  # I(X_L; Y | X_C)
    poorer = theorem.information(p.sum(axis=0))
    forgotten = poorer - theorem.information(theorem.encode(p, cf, llm))
    assert rest == added + forgotten
    assert (rest == 0) == (name == 'tight')


def test_the_page_shows_what_the_script_prints() -> None:
    out = subprocess.run(
        [sys.executable, SCRIPT],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    page = (ROOT / 'docs' / 'theory.md').read_text(encoding='utf-8')
    assert out.count('\n') == 9
    assert out in page
