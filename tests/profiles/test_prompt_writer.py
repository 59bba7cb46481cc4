import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles import PromptTemplate, estimate_tokens
from pyg_darec.profiles.prompt_writer import PromptWriter, Source

TEMPLATE = PromptTemplate('Data: $a; more: $b.', system='Be short.')


def rounded(text):
    """A counter by which parts take less than the whole."""
    return int((len(text.encode()) / 3) ** 1.1)


def write(texts, max_tokens, count=estimate_tokens):
    writer = PromptWriter(TEMPLATE, ('a', 'b'), max_tokens, count)
    sources = [Source('ab'[n % 2], f'{n}. ', t) for n, t in enumerate(texts)]
    return writer.write('id', sources, None)


@given(
    st.lists(st.text(), max_size=30),
    st.integers(60, 400),
    st.sampled_from([estimate_tokens, rounded, len]),
)
def test_budget_is_kept(texts, max_tokens, count):
    prompt = write(texts, max_tokens, count)
    if prompt is None:
        assert not any(text.split() for text in texts if text.isprintable())
        return
    assert count(prompt.system) + count(prompt.text) <= max_tokens


def test_short_sources_are_whole_and_long_ones_cut():
    prompt = write(['short', 'word ' * 10_000, 'short too'], 120)
    assert '0. short' in prompt.text
    assert '2. short too' in prompt.text
    assert 'word …' in prompt.text
    assert 100 < estimate_tokens(prompt.text + prompt.system) <= 120


def test_last_sources_are_left_out():
    prompt = write(['word ' * 100] * 50, 150)
    assert '0. word' in prompt.text
    assert '49. word' not in prompt.text


def test_huge_text_costs_no_time():
    start = time.monotonic()
    huge = ['é' * 5_000_000, '🙂' * 10_000_000, 'word ' * 2_000_000]
    assert write(huge, 200) is not None
    assert time.monotonic() - start < 5


def test_template_does_not_fit():
    with pytest.raises(ValueError, match=r"'max_tokens' needs to be 3\d or"):
        write(['a'], 20)
    with pytest.raises(ValueError, match="'max_tokens' needs to be"):
        write(['a'], 1)
