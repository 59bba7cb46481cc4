import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import NegativeSampler


@st.composite
def graphs(draw):
    num_users = draw(st.integers(1, 8))
    num_items = draw(st.integers(1, 12))
    # Every user leaves one item, so that everybody has a negative.
    free = draw(
        st.lists(
            st.integers(0, num_items - 1),
            min_size=num_users,
            max_size=num_users,
        )
    )
    pairs = draw(
        st.sets(
            st.tuples(
                st.integers(0, num_users - 1), st.integers(0, num_items - 1)
            )
        )
    )
    pairs = [(u, i) for u, i in pairs if free[u] != i]
    edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t()
    return BipartiteGraph(edge_index, num_users, num_items)


def left_over(graph, user):
    """The items that a user has not interacted with, one by one."""
    taken = set(graph.edge_index[1, graph.edge_index[0] == user].tolist())
    return [i for i in range(graph.num_items) if i not in taken]


@settings(max_examples=60)
@given(graphs(), st.integers(0, 2**31))
def test_equals_reference(graph, seed):
    user = torch.arange(graph.num_users).repeat(7).flip(0)
    generator = torch.Generator().manual_seed(seed)
    neg = NegativeSampler(graph).sample(user, generator)

    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(2**62, user.shape, generator=generator).tolist()
    for u, i, draw in zip(user.tolist(), neg.tolist(), draws, strict=True):
        items = left_over(graph, u)
        assert i == items[draw % len(items)]


def test_is_uniform_over_negatives_only():
    edge_index = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 1, 7, 4, 8, 9]])
    graph = BipartiteGraph(edge_index, num_users=4, num_items=10)
    user = torch.arange(4).repeat_interleave(20_000)
    generator = torch.Generator().manual_seed(0)
    neg = NegativeSampler(graph).sample(user, generator).view(4, -1)
    for u in range(4):
        count = neg[u].bincount(minlength=10)
        allowed = left_over(graph, u)
        assert count.sum() == count[allowed].sum()
        assert chisquare(count[allowed].numpy()).pvalue > 1e-3


def test_generator_decides():
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 50)
    sampler, user = NegativeSampler(graph), torch.zeros(20, dtype=torch.long)
    draws = [
        sampler.sample(user, torch.Generator().manual_seed(seed)).tolist()
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_user_without_negative():
    graph = BipartiteGraph(torch.tensor([[1, 1], [0, 1]]), 2, 2)
    sampler = NegativeSampler(graph)
    assert sampler.sample(torch.zeros(3, dtype=torch.long)).max() <= 1
    with pytest.raises(ValueError, match='User 1 has interacted with every'):
        sampler.sample(torch.tensor([0, 1]))


def test_no_users_asked_for():
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 5)
    assert NegativeSampler(graph).sample(torch.tensor([]).long()).shape == (0,)


def test_repr():
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 5)
    text = 'NegativeSampler(num_users=2, num_items=5)'
    assert str(NegativeSampler(graph)) == text
