import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.retrieval.grouped import group_maxima, grouped_topk


@settings(max_examples=80)
@given(
    st.integers(1, 4),
    st.integers(1, 300),
    st.integers(1, 30),
    st.sampled_from([2, 4, 8]),
    st.integers(0, 99),
)
def test_equals_one_sort(rows, width, k, group, seed):
    generator = torch.Generator().manual_seed(seed)
    # Small whole numbers tie; '-inf' is what excluded items score.
    scores = torch.randint(-9, 9, (rows, width), generator=generator).float()
    scores[scores == -9] = -torch.inf
    k = min(k, width)
    score, column = grouped_topk(scores, k, group)
    assert score.sort(descending=True).values.equal(scores.topk(k).values)
    assert scores.gather(1, column).equal(score)
    assert all(row.unique().numel() == k for row in column)


def test_maxima_of_groups():
    scores = torch.tensor([[1.0, 8.0, 3.0, 4.0], [5.0, 6.0, 7.0, 2.0]])
    assert group_maxima(scores, 2).tolist() == [[3.0, 8.0], [7.0, 6.0]]
