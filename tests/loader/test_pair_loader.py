import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import NegativeSampler, PairLoader

NEGATIVES = ('uniform', 'popularity', 'in_batch')


def random_graph(num_users=12, num_items=15, p=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    prob = torch.full((num_users, num_items), p)
    edge_index = torch.bernoulli(prob, generator=generator).nonzero().t()
    return BipartiteGraph(edge_index, num_users, num_items)


def pairs(batches):
    return sorted((u, p) for b in batches for u, p in b[:2].t().tolist())


def epoch(loader):
    return [torch.stack(batch) for batch in loader]


@settings(max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(0, 100),
    st.integers(1, 3),
    st.sampled_from(NEGATIVES),
)
def test_epoch_is_every_interaction_once(
    batch_size, seed, world_size, negatives
):
    graph = random_graph(seed=seed)
    batches, sizes = [], []
    for rank in range(world_size):
        loader = PairLoader(
            graph,
            batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            negatives=negatives,
        )
        share = epoch(loader)
        assert len(share) == len(loader)
        sizes.append([batch.size(1) for batch in share])
        batches += share
    # No process waits for another one.
    assert all(size == sizes[0] for size in sizes)
    assert all(size == sizes[0][0] for size in sizes[0][:-1])
    got, expected = pairs(batches), graph.edge_index.t().tolist()
    expected = [tuple(pair) for pair in expected]
    assert len(got) == len(expected) // world_size * world_size
    assert len(set(got)) == len(got)
    assert set(got) <= set(expected)
    for user, _, neg in torch.cat(batches, dim=1).t().tolist():
        assert (user, neg) not in expected


@pytest.mark.parametrize('negatives', NEGATIVES)
def test_epochs_differ_and_come_back(negatives):
    loader = PairLoader(random_graph(), batch_size=10, negatives=negatives)
    first, second = torch.cat(epoch(loader), 1), torch.cat(epoch(loader), 1)
    assert not first.equal(second)
    loader.epoch = 0
    assert first.equal(torch.cat(epoch(loader), 1))
    other = PairLoader(random_graph(), batch_size=10, seed=1)
    assert not first.equal(torch.cat(epoch(other), 1))


def test_order_without_shuffle():
    graph = random_graph()
    loader = PairLoader(graph, batch_size=10, shuffle=False)
    assert torch.cat(epoch(loader), 1)[:2].equal(graph.edge_index)


def test_global_random_state_is_untouched():
    state = torch.get_rng_state()
    epoch(PairLoader(random_graph()))
    assert torch.get_rng_state().equal(state)


def test_users_who_have_everything_are_left_out():
    edge_index = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 0, 2]])
    graph = BipartiteGraph(edge_index, 3, 3)
    with pytest.warns(UserWarning, match='1 of 3 users'):
        loader = PairLoader(graph)
    assert pairs(epoch(loader)) == [(1, 0), (2, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        epoch(loader)


@pytest.mark.filterwarnings('ignore:.*leaves out')
@pytest.mark.parametrize(
    'edges', [torch.empty(2, 0).long(), torch.tensor([[0, 0], [0, 1]])]
)
def test_nothing_to_train_on(edges):
    with pytest.raises(ValueError, match='nothing to train on'):
        PairLoader(BipartiteGraph(edges, 2, 2))


def test_batch_size():
    with pytest.raises(ValueError, match=r"'batch_size' .* \(got 0\)"):
        PairLoader(random_graph(), batch_size=0)


def test_shares_draw_for_themselves():
    # The same interactions in both shares would be told apart by nothing else.
    graph = BipartiteGraph(torch.arange(40).repeat(2, 1), 40, 40)
    loaders = [
        PairLoader(
            graph, 40, rank=rank, world_size=2, negatives='in_batch', seed=1
        )
        for rank in range(2)
    ]
    places = []
    for loader in loaders:
        (_, pos, neg) = next(iter(loader))
        assert set(neg.tolist()) <= set(pos.tolist())
        places.append([pos.tolist().index(i) for i in neg.tolist()])
    assert places[0] != places[1]


@pytest.mark.parametrize(
    ('options', 'drawn'),
    [
        ({}, {0, 2, 3}),
        ({'negatives': 'popularity'}, {0, 2}),
        ({'negatives': 'popularity', 'alpha': 20.0}, {0}),
        ({'negatives': 'in_batch'}, {0, 2}),
    ],
)
def test_kinds_of_negatives(options, drawn):
    # Users 0 to 29 have item 0, users 28 and 29 item 2, user 30 item 1, and
    # nobody item 3.
    user = torch.tensor([*range(30), 28, 29, 30])
    item = torch.tensor([0] * 30 + [2, 2, 1])
    graph = BipartiteGraph(torch.stack([user, item]), 31, 4)
    loader = PairLoader(graph, **options)
    batches = [batch for _ in range(99) for batch in epoch(loader)]
    user, _, neg = torch.cat(batches, 1)
    assert set(neg[user == 30].tolist()) == drawn


def test_unknown_negatives():
    with pytest.raises(ValueError, match=r"'negatives' .* \(got 'hard'\)"):
        PairLoader(random_graph(), negatives='hard')


@pytest.mark.parametrize(
    ('rank', 'world_size', 'message'),
    [
        (0, 0, r"'world_size' .* \(got 0\)"),
        (0, -1, r"'world_size' .* \(got -1\)"),
        (0, 1.0, r"'world_size' .* \(got 1.0\)"),
        (2, 2, r"'rank' .* 'world_size', 2 \(got 2\)"),
        (-1, 2, r"'rank' .* 'world_size', 2 \(got -1\)"),
    ],
)
def test_shares_that_do_not_exist(rank, world_size, message):
    with pytest.raises(ValueError, match=message):
        PairLoader(random_graph(), rank=rank, world_size=world_size)


def test_repr():
    loader = PairLoader(random_graph(), batch_size=8, seed=3)
    expected = "batch_size=8, shuffle=True, seed=3, negatives='uniform')"
    assert str(loader) == f'PairLoader(num_pairs={loader.num_pairs}, {expected}'


def test_takes_data_as_well():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 4
    edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    data['user', 'rates', 'item'].edge_index = edge_index
    user, pos, _ = next(iter(PairLoader(data, shuffle=False)))
    assert torch.equal(torch.stack([user, pos]), edge_index)
    assert NegativeSampler(data).sample(user).shape == (3,)
