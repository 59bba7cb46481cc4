import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms import KCore, SplitInteractions

KEYS = ('edge_index', 'val_edge_label_index', 'test_edge_label_index')
STRATEGIES = ('random', 'leave_last', 'temporal')


def graph(pairs, num_users=None, num_items=None, time=None):
    data = HeteroData()
    edge_index = torch.tensor(pairs).reshape(-1, 2).t().contiguous()
    data['user'].num_nodes = num_users or int(edge_index[0].max()) + 1
    data['item'].num_nodes = num_items or int(edge_index[1].max()) + 1
    data[EDGE_TYPE].edge_index = edge_index
    if time is not None:
        data[EDGE_TYPE].time = torch.tensor(time)
    return data


def random_graph(num_users=400, num_items=300, num_edges=6000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = num_users, num_items
    # A long tail, as interactions have it.
    user = torch.rand(num_edges, generator=generator).pow(2) * num_users
    item = torch.rand(num_edges, generator=generator).pow(3) * num_items
    data[EDGE_TYPE].edge_index = torch.stack([user, item]).long()
    data[EDGE_TYPE].time = torch.rand(num_edges, generator=generator)
    return data


def pairs_of(data, key):
    return [tuple(pair) for pair in data[EDGE_TYPE][key].t().tolist()]


def split(data, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.*holds out no pairs.*')
        return SplitInteractions(*args, **kwargs)(data)


@st.composite
def graphs(draw):
    pair = st.tuples(st.integers(0, 6), st.integers(0, 6))
    pairs = draw(st.lists(pair, min_size=1, max_size=60))
    time = st.integers(0, 20)
    times = draw(st.lists(time, min_size=len(pairs), max_size=len(pairs)))
    return graph(pairs, 7, 7, times)


@settings(max_examples=150)
@given(
    graphs(),
    st.sampled_from(STRATEGIES),
    st.sampled_from([(0.6, 0.2, 0.2), (0.1, 0.2, 0.7), (0.8, 0, 0.2)]),
    st.integers(0, 5),
)
def test_every_split_keeps_its_promises(data, strategy, ratios, seed):
    out = split(data, strategy, ratios, seed)
    parts = [pairs_of(out, key) for key in KEYS]
    train, held_out = parts[0], parts[1] + parts[2]

    everything = train + held_out
    assert len(everything) == len(set(everything))
    original = set(pairs_of(data, 'edge_index'))
    if strategy == 'temporal':
        assert set(everything) <= original
    else:
        assert set(everything) == original
    for side in (0, 1):
        trained = {pair[side] for pair in train}
        assert {pair[side] for pair in held_out} <= trained
        if strategy != 'temporal':
            assert {pair[side] for pair in original} == trained
    assert out['user'].num_nodes == out['item'].num_nodes == 7

    # Each pair kept the time of its earliest occurrence.
    earliest = {}
    for pair, time in zip(
        pairs_of(data, 'edge_index'), data[EDGE_TYPE].time.tolist(), strict=True
    ):
        earliest[pair] = min(time, earliest.get(pair, time))
    for key, name in zip(KEYS, ('time', 'val_time', 'test_time'), strict=True):
        expected = [earliest[pair] for pair in pairs_of(out, key)]
        assert out[EDGE_TYPE][name].tolist() == expected


@settings(max_examples=100)
@given(graphs(), st.integers(0, 3))
def test_leave_last_trains_on_nothing_later(data, seed):
    store = split(data, 'leave_last', seed=seed)[EDGE_TYPE]
    for user in range(7):
        time = [
            t[index[0] == user]
            for t, index in (
                (store.time, store.edge_index),
                (store.val_time, store.val_edge_label_index),
                (store.test_time, store.test_edge_label_index),
            )
        ]
        assert time[1].numel() <= 1
        assert time[2].numel() <= 1
        ordered = torch.cat(time)
        if time[0].numel():
            assert ordered[time[0].numel() :].ge(time[0].max()).all()
        assert time[1].numel() == 0 or (time[2] >= time[1]).all()


@settings(max_examples=100)
@given(graphs())
def test_temporal_cuts_time_into_intervals(data):
    store = split(data, 'temporal')[EDGE_TYPE]
    time = [store.time, store.val_time, store.test_time]
    for early, late in ((0, 1), (0, 2), (1, 2)):
        if time[early].numel() and time[late].numel():
            assert time[early].max() < time[late].min()


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_same_seed_same_split(strategy):
    data = random_graph()
    seeds = (3, np.int64(3))
    one, two = (SplitInteractions(strategy, seed=n)(data) for n in seeds)
    for key in KEYS:
        assert torch.equal(one[EDGE_TYPE][key], two[EDGE_TYPE][key])


def test_other_seed_other_split():
    data = random_graph()
    one, two = (SplitInteractions(seed=seed)(data) for seed in (0, 1))
    assert pairs_of(one, KEYS[2]) != pairs_of(two, KEYS[2])


def test_global_random_state_is_untouched():
    before = torch.get_rng_state()
    SplitInteractions()(random_graph())
    assert torch.equal(before, torch.get_rng_state())


def test_input_is_not_modified():
    data = random_graph()
    edge_index = data[EDGE_TYPE].edge_index.clone()
    SplitInteractions()(data)
    assert torch.equal(data[EDGE_TYPE].edge_index, edge_index)
    assert list(data[EDGE_TYPE].keys()) == ['edge_index', 'time']


def test_random_meets_the_ratios():
    data = KCore(5)(random_graph(num_edges=20000))
    store = SplitInteractions()(data)[EDGE_TYPE]
    sizes = torch.tensor([store[key].size(1) for key in KEYS])
    shares = sizes / sizes.sum()
    assert torch.allclose(shares, torch.tensor([0.6, 0.2, 0.2]), atol=0.005)


def test_random_rounds_the_target_of_each_user():
    # No item is rare here, so that no pair needs to move back.
    data = graph([(u, i) for u in range(40) for i in range(3 + u % 11)])
    store = SplitInteractions(seed=1)(data)[EDGE_TYPE]
    degree = torch.tensor([3 + u % 11 for u in range(40)])
    counts = [torch.bincount(store[k][0], minlength=40) for k in KEYS]
    for count, ratio in zip(counts[1:], (0.2, 0.2), strict=True):
        assert ((count - ratio * degree).abs() < 1 + 1e-5).all()
    assert ((counts[0] - 0.6 * degree).abs() <= 2).all()


def test_user_with_fewer_interactions_than_parts_is_only_trained():
    busy = [(u, i) for u in range(2, 30) for i in range(8)]
    data = graph([(0, 0), (1, 0), (1, 1), *busy])
    store = SplitInteractions()(data)[EDGE_TYPE]
    assert store.edge_index[0].bincount()[:2].tolist() == [1, 2]
    # Without a validation part, two interactions do for a split.
    held_out = [
        SplitInteractions(ratios=(0.5, 0, 0.5), seed=seed)(data)[EDGE_TYPE]
        for seed in range(5)
    ]
    assert any((s.test_edge_label_index[0] == 1).any() for s in held_out)


def test_leave_last_breaks_ties_at_random():
    """And not by the number of an item, which any model can learn."""
    num_users, num_items = 60, 30
    pairs = [(u, i) for u in range(num_users) for i in range(num_items)]
    time = [0] * len(pairs)
    tests = []
    for seed in range(2):
        out = SplitInteractions('leave_last', seed=seed)(
            graph(pairs, time=time)
        )
        tests.append(out[EDGE_TYPE].test_edge_label_index[1])
    assert not tests[0].equal(tests[1])
    mean = float(torch.cat(tests).float().mean())
    # Five deviations of the mean of 120 uniform numbers.
    assert abs(mean - (num_items - 1) / 2) < 5 * 8.66 / 120**0.5


def test_leave_last_takes_the_last_two():
    pairs = [(u, i) for u in range(2) for i in range(4)]
    # The first user goes through the items forwards, the second backwards;
    # a third one sees to it that every item is trained on.
    pairs += [(2, i) for i in (0, 3, 1, 2)] + [(3, i) for i in (2, 3)]
    time = [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3, 0, 0]
    out = SplitInteractions('leave_last')(graph(pairs, time=time))
    assert pairs_of(out, 'val_edge_label_index') == [(0, 2), (1, 1), (2, 1)]
    assert pairs_of(out, 'test_edge_label_index') == [(0, 3), (1, 0), (2, 2)]


def test_temporal_drops_the_new():
    pairs = [(0, 0), (0, 1), (1, 0), (1, 2), (0, 2), (2, 0), (1, 1)]
    out = split(graph(pairs, time=list(range(7))), 'temporal', (0.5, 0.2, 0.3))
    assert pairs_of(out, 'edge_index') == pairs[:4]
    assert pairs_of(out, 'val_edge_label_index') == [(0, 2)]
    assert pairs_of(out, 'test_edge_label_index') == [(1, 1)]


def test_attributes_are_split_along():
    data = random_graph()
    store = data[EDGE_TYPE]
    num_edges = store.num_edges
    store.rating = torch.rand(num_edges, 2)
    store.text = [str(i) for i in range(num_edges)]
    store.name = 'rates'
    out = SplitInteractions()(data)[EDGE_TYPE]
    for prefix, key in zip(('', 'val_', 'test_'), KEYS, strict=True):
        row = [int(text) for text in out[f'{prefix}text']]
        assert torch.equal(store.edge_index[:, row], out[key])
        assert torch.equal(store.rating[row], out[f'{prefix}rating'])
    assert out.name == 'rates'


def test_works_in_compose():
    transform = Compose([KCore(2), SplitInteractions()])
    assert 'val_edge_label_index' in transform(random_graph())[EDGE_TYPE]


def test_other_relation_and_time_names():
    edge_type = ('customer', 'buys', 'product')
    source, data = random_graph(), HeteroData()
    data['customer'].num_nodes, data['product'].num_nodes = 400, 300
    data[edge_type].edge_index = source[EDGE_TYPE].edge_index
    data[edge_type].when = source[EDGE_TYPE].time
    transform = SplitInteractions(
        'temporal', edge_type=edge_type, time_attr='when'
    )
    assert 'test_when' in transform(data)[edge_type]


def test_int32_index_keeps_its_type():
    data = random_graph()
    data[EDGE_TYPE].edge_index = data[EDGE_TYPE].edge_index.int()
    out = SplitInteractions()(data)[EDGE_TYPE]
    assert {out[key].dtype for key in KEYS} == {torch.int32}


def test_repr():
    assert str(SplitInteractions('leave_last', seed=2)) == (
        "SplitInteractions(strategy='leave_last', ratios=(0.6, 0.2, 0.2), "
        'seed=2)'
    )
