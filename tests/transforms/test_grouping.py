import torch
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.transforms.grouping import (
    first_of_group,
    position_in_group,
    sort_order,
)

KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1)


@given(KEYS)
def test_against_plain_python(keys):
    group, value = torch.tensor(keys).t()
    order = sort_order(group, value)
    expected = sorted(range(len(keys)), key=keys.__getitem__)
    assert order.tolist() == expected

    members = {g: [i for i in expected if keys[i][0] == g] for g, _ in keys}
    first = [members[g][0] for g in sorted(members)]
    assert first_of_group(group, order).tolist() == first
    position = [members[g].index(i) for i, (g, _) in enumerate(keys)]
    assert position_in_group(group, order).tolist() == position


def test_empty():
    empty = torch.empty(0, dtype=torch.long)
    assert first_of_group(empty, sort_order(empty)).numel() == 0
