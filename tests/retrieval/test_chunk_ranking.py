import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.retrieval import chunk_ranking, masked_topk


def full_sort(user, item, k, excluded):
    dtype = torch.promote_types(user.dtype, torch.float32)
    scores = user.to(dtype) @ item.to(dtype).t()
    scores[excluded] = -torch.inf
    score, index = scores.sort(dim=1, descending=True)
    return score[:, :k], index[:, :k].masked_fill(score[:, :k].isneginf(), -1)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 700),
    st.integers(1, 60),
    st.sampled_from(
        [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    ),
    st.sampled_from([0.0, 0.1, 0.95]),
    st.sampled_from([1, 7, 300]),
    st.sampled_from([(2**18, 256, 2**25), (256, 8, 2**25), (256, 3, 512)]),
    st.integers(0, 99),
)
def test_equals_full_sort(
    num_users, num_items, k, dtype, p, chunk_size, sizes, seed
):
    torch.manual_seed(seed)
    # Products of these are exact in every type, and their ties are few.
    user = torch.randint(-9, 10, (num_users, 6)).to(dtype)
    item = torch.randint(-99, 100, (num_items, 6)).to(dtype)
    excluded = torch.rand(num_users, num_items) < p
    excluded[0] = True  # ragged: all of one user, none of another
    excluded[-1] = False
    k = min(k, num_items)
    with pytest.MonkeyPatch.context() as patch:
        names = ('TILE', 'ROWS', 'MAX_BUFFER')
        for name, size in zip(names, sizes, strict=True):
            patch.setattr(chunk_ranking, name, size)
        score, index = masked_topk(
            user, item, k, [excluded.nonzero().t()], chunk_size=chunk_size
        )
    expected, _ = full_sort(user, item, k, excluded)
    assert score.equal(expected)
    left = index >= 0
    assert left.equal(~expected.isneginf())
    row = torch.arange(num_users).view(-1, 1).expand_as(index)[left]
    assert not excluded[row, index[left]].any()
    products = (user[row].double() * item[index[left]].double()).sum(1)
    assert products.equal(score[left].double())
    key = row * num_items + index[left]
    assert key.unique().numel() == key.numel()


def test_equals_full_sort_of_real_numbers():
    torch.manual_seed(0)
    user, item = torch.randn(300, 16), torch.randn(5000, 16)
    excluded = torch.rand(300, 5000) < 0.02
    score, index = masked_topk(user, item, 20, [excluded.nonzero().t()])
    expected = full_sort(user, item, 20, excluded)
    torch.testing.assert_close(score, expected[0])
    assert index.equal(expected[1])


@pytest.mark.parametrize(
    ('height', 'num_items'), [(1, 10**7), (256, 10**6), (8192, 1000)]
)
def test_buffer_is_bounded(height, num_items):
    ranking = chunk_ranking.ChunkRanking(torch.ones(num_items, 1), 5, height)
    limit = max(chunk_ranking.MAX_BUFFER, height * ranking.size)
    assert ranking.scores.numel() <= limit <= 2**25


def test_same_call_same_result():
    torch.manual_seed(0)
    user, item = torch.randint(3, (70, 2)), torch.randint(3, (3000, 2))
    runs = [masked_topk(user.float(), item.float(), 9) for _ in range(2)]
    assert runs[0][0].equal(runs[1][0])
    assert runs[0][1].equal(runs[1][1])
