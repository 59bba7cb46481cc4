import re
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


@pytest.mark.parametrize('count', [estimate_tokens, rounded, len])
@pytest.mark.parametrize('name', ['description_en', 9000 * 'x'], ids=len)
@pytest.mark.parametrize('text', ['A kettle of steel', 50 * '🙂'], ids=len)
def test_something_is_said_at_the_least_budget(count, name, text):
    with pytest.raises(ValueError, match="'max_tokens'") as info:
        PromptWriter(TEMPLATE, ('a', 'b'), 1, count)
    (least,) = re.findall('needs to be ([0-9]+)', str(info.value))
    for max_tokens in range(int(least), int(least) + 9):
        writer = PromptWriter(TEMPLATE, ('a', 'b'), max_tokens, count)
        prompt = writer.write('id', [Source('a', f'- {name}: ', text)], None)
        assert text[0] in prompt.text
        assert count(prompt.system) + count(prompt.text) <= max_tokens


def test_a_name_takes_half_of_the_room():
    for name in ('name', 9000 * 'x'):
        writer = PromptWriter(TEMPLATE, ('a', 'b'), 60, estimate_tokens)
        source = Source('a', f'- {name}: ', 'word ' * 100)
        text = writer.write('id', [source], None).text
        assert text.count('word') >= 4
        assert f'- {name[:20]}' in text


def test_no_room_for_any_text():
    def count(text):
        return 20 * len(text)

    source = Source('a', '- ', 'A red kettle')
    writer = PromptWriter(TEMPLATE, ('a', 'b'), 740, count)
    with pytest.raises(ValueError, match=r"'max_tokens'.*got 740") as info:
        writer.write('id', [source], None)
    (enough,) = re.findall("([0-9]+) are enough for id 'id'", str(info.value))
    writer = PromptWriter(TEMPLATE, ('a', 'b'), int(enough), count)
    assert 'A' in writer.write('id', [source], None).text


def test_template_does_not_fit():
    with pytest.raises(ValueError, match=r"'max_tokens' needs to be 3\d or"):
        write(['a'], 20)
    with pytest.raises(ValueError, match="'max_tokens' needs to be"):
        write(['a'], 1)
