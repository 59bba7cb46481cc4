import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles.match import match_ids

IDS = st.lists(st.integers() | st.text(), unique=True, min_size=1)


@given(IDS.flatmap(lambda ids: st.tuples(st.just(ids), st.permutations(ids))))
def test_rows_come_in_the_order_of_the_nodes(case):
    ids, nodes = case
    assert [ids[row] for row in match_ids(ids, nodes, 'It')] == nodes


def test_numpy_ids():
    nodes = list(np.array([3, 1, 2]))
    assert match_ids([1, 2, 3], nodes, 'It').tolist() == [2, 0, 1]


def test_ids_that_are_written_alike():
    assert match_ids([7, 8, 'x'], ['x', '7', '8'], 'It').tolist() == [2, 0, 1]
    assert match_ids(['7', '7.0'], ['7.0', 7], 'It').tolist() == [1, 0]


@pytest.mark.parametrize(
    ('ids', 'nodes', 'match'),
    [
        (['a'], ['a', 'b', 'c'], "It lacks 2 of 3 nodes, first id 'b'; add"),
        (['1'], [1, '1'], r"first id 1; add.*got ids like \['1'\]"),
        ([1, '1'], ['1'], r'1 of 2 .* first id 1, row 0'),
        (['a', 'x', 'y'], ['a'], r"2 of 3 .* first id 'x', row 1.*\(got"),
        (['a', 'b', 'a'], ['a', 'b'], r"It has id 'a' twice.*rows 0 and 2"),
        (['a'], ['a', 'a'], r"graph that It .*id 'a' twice.*rows 0 and 1"),
        ([1.0], [1], r'row 0 is not \(got 1.0\)'),
        ([1, None], [1], r'row 1 is not \(got None\)'),
        ([True], [1], r'row 0 is not \(got True\)'),
        ([b'a'], ['a'], r"row 0 is not \(got b'a'\)"),
    ],
)
def test_ids_that_do_not_match(ids, nodes, match):
    with pytest.raises(ValueError, match=match):
        match_ids(ids, nodes, 'It')
