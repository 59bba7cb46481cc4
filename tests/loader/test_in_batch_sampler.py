import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import InBatchSampler, NegativeSampler
from pyg_darec.loader import in_batch_sampler as module


@st.composite
def epochs(draw):
    """A graph in which every user has a negative, and rows of its edges."""
    num_users, num_items = draw(st.integers(1, 6)), draw(st.integers(2, 8))
    cells = [(u, i) for u in range(num_users) for i in range(1, num_items)]
    pairs = draw(st.sets(st.sampled_from(cells), min_size=1))
    edge_index = torch.tensor(sorted(pairs)).t()
    order = draw(st.permutations(range(len(pairs))))
    graph = BipartiteGraph(edge_index, num_users, num_items)
    return graph, edge_index[:, list(order)]


def known(graph):
    return set(map(tuple, graph.edge_index.t().tolist()))


def plain(graph, user, item, batch_size, seed):
    """Row by row, from the numbers that the sampler draws."""
    generator = torch.Generator().manual_seed(seed)
    user, item, edges = user.tolist(), item.tolist(), known(graph)
    neg, rows = [None] * len(user), list(range(len(user)))
    batches = [item[r - r % batch_size :][:batch_size] for r in rows]

    def draw(size):
        return torch.randint(2**62, (size,), generator=generator).tolist()

    for _ in range(module.ROUNDS):
        for r, number in zip(rows, draw(len(rows)), strict=True):
            neg[r] = batches[r][number % len(batches[r])]
        rows = [r for r in rows if (user[r], neg[r]) in edges]
        if not rows:
            return neg
    nothing = []
    for r, number in zip(rows, draw(len(rows)), strict=True):
        allowed = [i for i in batches[r] if (user[r], i) not in edges]
        if allowed:
            neg[r] = allowed[number % len(allowed)]
        else:
            nothing.append(r)
    users = torch.tensor([user[r] for r in nothing], dtype=torch.long)
    drawn = NegativeSampler(graph).sample(users, generator).tolist()
    for r, i in zip(nothing, drawn, strict=True):
        neg[r] = i
    return neg


@settings(max_examples=50)
@given(epochs(), st.integers(1, 9), st.integers(0, 999), st.integers(0, 2))
def test_equals_plain_loop(epoch, batch_size, seed, rounds):
    graph, (user, item) = epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'ROUNDS', rounds)
        neg = InBatchSampler(graph).sample(
            user, item, batch_size, torch.Generator().manual_seed(seed)
        )
        assert neg.tolist() == plain(graph, user, item, batch_size, seed)


@settings(max_examples=50)
@given(epochs(), st.integers(1, 9), st.integers(0, 999))
def test_negatives_are_of_the_batch_and_none_is_known(epoch, size, seed):
    graph, (user, item) = epoch
    neg = InBatchSampler(graph).sample(
        user, item, size, torch.Generator().manual_seed(seed)
    )
    edges = known(graph)
    for r, (u, n) in enumerate(zip(user.tolist(), neg.tolist(), strict=True)):
        assert (u, n) not in edges
        batch = item[r - r % size :][:size].tolist()
        left = [i for i in batch if (u, i) not in edges]
        assert n in left if left else 0 <= n < graph.num_items


@pytest.mark.parametrize('rounds', [0, 1, 32])
def test_is_uniform_over_the_other_rows(monkeypatch, rounds):
    monkeypatch.setattr(module, 'ROUNDS', rounds)
    # Item 5 is in the batch three times; user 0 has items 0 to 4.
    user = torch.tensor([0, 0, 0, 0, 0, 1, 2, 3, 3, 4])
    item = torch.tensor([0, 1, 2, 3, 4, 5, 5, 5, 6, 7])
    graph = BipartiteGraph(torch.stack([user, item]), 5, 9)
    sampler, generator = InBatchSampler(graph), torch.Generator()
    neg = sampler.sample(
        user.repeat(4000), item.repeat(4000), 10, generator.manual_seed(0)
    )
    count = neg.view(-1, 10)[:, :5].flatten().bincount(minlength=9)
    assert count[[0, 1, 2, 3, 4, 8]].sum() == 0
    share = torch.tensor([3, 1, 1]) / 5 * count.sum()
    assert chisquare(count[5:8].numpy(), share.numpy()).pvalue > 1e-3


def test_nothing_left_in_the_batch_is_uniform_over_all():
    user = torch.zeros(2, dtype=torch.long)
    item = torch.tensor([1, 3])
    graph = BipartiteGraph(torch.stack([user, item]), 1, 6)
    neg = InBatchSampler(graph).sample(
        user.repeat(4000),
        item.repeat(4000),
        2,
        torch.Generator().manual_seed(0),
    )
    count = neg.bincount(minlength=6)
    assert count[[1, 3]].sum() == 0
    assert chisquare(count[[0, 2, 4, 5]].numpy()).pvalue > 1e-3


def test_user_without_negative():
    graph = BipartiteGraph(torch.tensor([[0, 0], [0, 1]]), 1, 2)
    with pytest.raises(ValueError, match='User 0 has interacted with every'):
        InBatchSampler(graph).sample(*graph.edge_index, 2)


@pytest.mark.parametrize('rounds', [0, 32])
def test_narrow_indices(monkeypatch, rounds):
    monkeypatch.setattr(module, 'ROUNDS', rounds)
    # Pairs have numbers far above 2^31; the last user has all of a batch.
    user = torch.tensor([59_999, 59_999, 59_999, 59_998, 59_998, 7])
    item = torch.tensor([89_999, 5, 89_997, 89_999, 3, 89_999])
    graph = BipartiteGraph(torch.stack([user, item]), 60_000, 90_000)
    wide, narrow = (
        InBatchSampler(graph).sample(
            user.to(dtype).repeat(50),
            item.to(dtype).repeat(50),
            3,
            torch.Generator().manual_seed(0),
        )
        for dtype in (torch.int64, torch.int32)
    )
    assert narrow.dtype == torch.int64
    assert torch.equal(narrow, wide)


@pytest.mark.parametrize('dtype', [torch.int64, torch.int32])
def test_no_rows(dtype):
    graph = BipartiteGraph(torch.empty(2, 0).long(), 2, 5)
    empty = torch.tensor([], dtype=dtype)
    neg = InBatchSampler(graph).sample(empty, empty, 4)
    assert (neg.shape, neg.dtype) == ((0,), torch.int64)


def test_repr():
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 5)
    text = 'InBatchSampler(num_users=2, num_items=5)'
    assert str(InBatchSampler(graph)) == text
