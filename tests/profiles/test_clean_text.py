import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles.clean_text import clean_text


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('  a\n\tb\r\n c ', 'a b c'),
        ('a\x00b\x1b[31mc\x85d', 'a b [31mc d'),
        ('half \ud83d pair', 'half ? pair'),
        ('👩‍👩‍👧 été 日本語 हिन्दी العربية', '👩‍👩‍👧 été 日本語 हिन्दी العربية'),
        ('{braces} $money %s', '{braces} $money %s'),
    ],
)
def test_known_texts(text, expected):
    assert clean_text(text) == expected


@given(st.text(st.characters()))
def test_one_line_that_can_be_encoded(text):
    out = clean_text(text)
    assert len(out.encode().decode().splitlines()) <= 1
    assert clean_text(out) == out
