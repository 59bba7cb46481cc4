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


def weights(graph, alpha):
    """The integers that are as good as the weights, one by one."""
    degree = graph.item_degree.tolist()
    if alpha == 0:
        return [1] * len(degree)
    power = [(d / max(*degree, 1)) ** alpha for d in degree]
    total = max(sum(power), 1)
    return [max(round(p / total * 2**44), 1) for p in power]


@settings(max_examples=100)
@given(
    graphs(),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.3, 0.75, 1.0, 40.0]),
)
def test_equals_walk_along_the_weights(graph, seed, alpha):
    user = torch.arange(graph.num_users).repeat(7).flip(0)
    sampler = NegativeSampler(graph, alpha)
    neg = sampler.sample(user, torch.Generator().manual_seed(seed))

    weight = weights(graph, alpha)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(2**62, user.shape, generator=generator).tolist()
    for u, i, draw in zip(user.tolist(), neg.tolist(), draws, strict=True):
        items = left_over(graph, u)
        draw %= sum(weight[i] for i in items)
        while draw >= weight[items[0]]:
            draw -= weight[items.pop(0)]
        assert i == items[0]


@pytest.mark.parametrize('alpha', [0.5, 0.75, 1.0])
def test_is_in_proportion_to_popularity(alpha):
    torch.manual_seed(0)
    popularity = torch.linspace(0.02, 0.9, 20)
    edge_index = (torch.rand(50, 20) < popularity).nonzero().t()
    graph = BipartiteGraph(edge_index, num_users=51, num_items=20)
    user = torch.tensor([0, 7, 50]).repeat_interleave(20_000)
    generator = torch.Generator().manual_seed(0)
    neg = NegativeSampler(graph, alpha).sample(user, generator).view(3, -1)
    for u, drawn in zip((0, 7, 50), neg, strict=True):
        count = drawn.bincount(minlength=20)
        allowed = left_over(graph, u)
        assert count.sum() == count[allowed].sum()
        share = graph.item_degree[allowed].double() ** alpha
        share *= count.sum() / share.sum()
        count, share = count[allowed][share > 0], share[share > 0]
        assert chisquare(count.numpy(), share.numpy()).pvalue > 1e-3


def test_items_without_interactions_are_the_last_resort():
    # User 0 has all that anybody has, items 0 and 1 of five.
    graph = BipartiteGraph(torch.tensor([[0, 0, 1], [0, 1, 0]]), 2, 5)
    user = torch.arange(2).repeat_interleave(6000)
    generator = torch.Generator().manual_seed(0)
    neg = NegativeSampler(graph, 0.75).sample(user, generator).view(2, -1)
    count = neg[0].bincount(minlength=5)
    assert count[:2].sum() == 0
    assert chisquare(count[2:].numpy()).pvalue > 1e-3
    assert neg[1].eq(1).all()


@pytest.mark.parametrize('alpha', [-1.0, float('nan'), float('inf')])
def test_alpha(alpha):
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 5)
    with pytest.raises(ValueError, match=r"'alpha' .* \(got"):
        NegativeSampler(graph, alpha)


def test_numbers_of_users_that_leave_few_bits():
    num_users = 3_000_000
    edge_index = torch.tensor([[0, 1, num_users - 1], [0, 1, 1]])
    graph = BipartiteGraph(edge_index, num_users, 3)
    user = torch.tensor([0, 5, num_users - 1]).repeat_interleave(300)
    neg = NegativeSampler(graph, 1.0).sample(user).view(3, -1)
    assert neg[0].eq(1).all()
    assert neg[1].unique().tolist() == [0, 1]
    assert neg[2].eq(0).all()


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


@pytest.mark.parametrize('dtype', [torch.int16, torch.int32])
@pytest.mark.parametrize('alpha', [0.0, 0.75])
def test_narrow_indices(dtype, alpha):
    # Users times items, or times all weights, are far above 2^31.
    edge_index = torch.tensor([[0, 30_000, 30_000], [0, 0, 89_999]])
    graph = BipartiteGraph(edge_index, 60_000, 90_000)
    user = torch.tensor([30_000, 0, 29_999]).repeat_interleave(50)
    wide, narrow = (
        NegativeSampler(graph, alpha).sample(
            user.to(dtype), torch.Generator().manual_seed(0)
        )
        for dtype in (torch.int64, dtype)
    )
    assert narrow.dtype == torch.int64
    assert torch.equal(narrow, wide)


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
    text = 'NegativeSampler(num_users=2, num_items=5, alpha=0.0)'
    assert str(NegativeSampler(graph)) == text
