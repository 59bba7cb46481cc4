import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.io.json_lines import read_lines, write_lines

# Halves of surrogate pairs and line separators included.
TEXT = st.text(st.characters(codec=None), max_size=8)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(
    SCALAR,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=2),
    max_leaves=4,
)


@settings(max_examples=30)
@given(values=st.lists(VALUES, max_size=4))
def test_round_trip(values, tmp_path_factory):
    path = tmp_path_factory.mktemp('lines') / 'x.jsonl'
    write_lines(path, values)
    assert repr(read_lines(path)) == repr(values)  # NaN, -0.0, True and 1
    assert path.read_bytes().count(b'\n') == len(values)


def test_readable_text(tmp_path):
    write_lines(tmp_path / 'x', ['Süß 茶 🫖', 'a\nb\u2028c'])
    text = (tmp_path / 'x').read_text(encoding='utf-8')
    assert text == '"Süß 茶 🫖"\n"a\\nb\u2028c"\n'


def test_numbers_of_numpy(tmp_path):
    values = [np.int64(3), np.float32(0.5), np.bool_(True)]
    write_lines(tmp_path / 'x', values)
    assert read_lines(tmp_path / 'x') == [3, 0.5, True]


@pytest.mark.parametrize(
    'value',
    [
        (1, 2),
        {1: 2},
        {'a': b'x'},
        [datetime.date(2024, 1, 1)],
        np.datetime64('2024-01-01'),
        np.ones(2),
    ],
)
def test_what_json_would_change(value, tmp_path):
    with pytest.raises(TypeError, match=r"got a '\w+'\) at position 1"):
        write_lines(tmp_path / 'x', ['fine', value])


@pytest.mark.parametrize(
    'line', [b'{', b'\xff', b'', b'1 2', b'[' * 100_000, b'9' * 5000]
)
def test_bad_line(line, tmp_path):
    path = tmp_path / 'x.jsonl'
    path.write_bytes(b'1\n' + line + b'\n')
    with pytest.raises(ValueError, match=r"x\.jsonl' .* line 2 is none"):
        read_lines(path)
