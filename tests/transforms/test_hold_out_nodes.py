from typing import Any

import pytest
import torch
from conformance.graphs import RATES, random_data
from torch_geometric.data import HeteroData
from torch_geometric.transforms import RandomLinkSplit, ToUndirected

from pyg_darec.as_graph import as_graph
from pyg_darec.hash_split import hash_split
from pyg_darec.transforms import HoldOutNodes, SplitInteractions
from pyg_darec.transforms.keep_nodes import keep_nodes

SIZES = {'user': 40, 'item': 20}


def make(split: bool = True) -> HeteroData:
    """Nodes and interactions that tell their numbers."""
    data = HeteroData()
    for kind, num in SIZES.items():
        data[kind].num_nodes = num
        data[kind].id = [f'{kind[0]}{n}' for n in range(num)]
        data[kind].llm_x = torch.arange(num * 3.0).view(num, 3)
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(800, (300,), generator=generator).unique()
    data[RATES].edge_index = torch.stack([pairs // 20, pairs % 20])
    data[RATES].time = pairs
    if split:
        data = SplitInteractions('random', (0.4, 0.4, 0.2))(data)
    return data


def pairs(data: HeteroData, key: str = 'edge_index') -> set[tuple[str, str]]:
    user, item = data['user'].id, data['item'].id
    index = data[RATES][key].t().tolist()
    return {(user[u], item[i]) for u, i in index}


def parts(data: HeteroData) -> dict[str, set[tuple[str, str]]]:
    names = ('edge_index', 'val_edge_label_index', 'test_edge_label_index')
    return {key: pairs(data, key) for key in names}


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_nothing_of_them_is_left(kind: str) -> None:
    data, axis = make(), ['user', 'item'].index(kind)
    warm, cold = HoldOutNodes(kind, 0.3, seed=4)(data)
    held_out, rest = set(cold[kind].id), set(warm[kind].id)
    assert len(held_out) == int(0.3 * SIZES[kind]) == cold[kind].num_nodes
    assert held_out | rest == set(data[kind].id)
    assert not held_out & rest
    before, after = parts(data), parts(warm)
    for key, known in before.items():
        assert after[key] == {p for p in known if p[axis] in rest}

    # Attributes go with nodes and with interactions, held-out ones included.
    for graph in (warm, cold):
        place = [int(name[1:]) for name in graph[kind].id]
        assert torch.equal(graph[kind].llm_x, data[kind].llm_x[place])
    for prefix in ('', 'val_', 'test_'):
        key = f'{prefix}edge_{"label_" if prefix else ""}index'
        user, item = warm[RATES][key]
        number = [int(warm['user'].id[u][1:]) * 20 for u in user.tolist()]
        items = [int(warm['item'].id[i][1:]) for i in item.tolist()]
        time = torch.tensor(number) + torch.tensor(items)
        assert torch.equal(warm[RATES][f'{prefix}time'], time)

    other = {'item': 'user', 'user': 'item'}[kind]
    assert cold[other].id == data[other].id
    trained = before['edge_index']
    if kind == 'item':
        users = {u for u, _ in after['edge_index']}
        every = set.union(*before.values())
        wanted = {p for p in every if p[1] in held_out and p[0] in users}
        seen: set[tuple[str, str]] = set()
    else:
        wanted = set.union(*list(before.values())[1:])
        wanted = {p for p in wanted if p[0] in held_out}
        seen = {p for p in trained if p[0] in held_out}
    assert pairs(cold, 'test_edge_label_index') == wanted
    assert pairs(cold) == seen
    assert 'time' not in cold[RATES]


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_all_pairs_are_looked_for_where_nothing_is_split(kind: str) -> None:
    data, axis = make(split=False), ['user', 'item'].index(kind)
    warm, cold = HoldOutNodes(kind)(data)
    held_out = {p for p in pairs(data) if p[axis] in cold[kind].id}
    users = {u for u, _ in pairs(warm)}
    if kind == 'item':
        held_out = {p for p in held_out if p[0] in users}
    assert pairs(cold, 'test_edge_label_index') == held_out
    assert cold[RATES].edge_index.size(1) == 0


def test_a_seed_is_a_choice() -> None:
    data = make()
    state = torch.get_rng_state()
    first, again, other = (
        HoldOutNodes('item', seed=seed)(data)[1]['item'].id
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)


def test_the_data_stay_as_they_are() -> None:
    data = make()
    before = {k: v.clone() for k, v in data[RATES].items()}
    HoldOutNodes('user')(data)
    assert data['user'].num_nodes == 40
    assert all(torch.equal(data[RATES][k], v) for k, v in before.items())


def test_attributes_that_are_called_like_a_split() -> None:
    data = make()
    store = data[RATES]
    store.test_group = torch.arange(store.edge_index.size(1))
    warm, _ = HoldOutNodes('item')(data)
    group = warm[RATES].test_group
    assert group.numel() == warm[RATES].edge_index.size(1)
    assert torch.equal(warm[RATES].time, store.time[group])


def test_reverse_relations_go_along() -> None:
    warm, _ = HoldOutNodes('item')(ToUndirected()(make()))
    reverse = warm['item', 'rev_rates', 'user'].edge_index
    assert torch.equal(reverse.flip(0), warm[RATES].edge_index)


def test_profiles_of_the_other_side_that_tell() -> None:
    data = make()
    data['user'].profile_split = hash_split(data)
    with pytest.raises(ValueError, match="profiles of 'user' were made from"):
        HoldOutNodes('item')(data)
    warm, cold = HoldOutNodes('user')(data)
    # Those of the others were made from interactions that are all there.
    assert warm['user'].profile_split == hash_split(warm)
    assert 'profile_split' not in cold['user']
    as_graph(warm)
    as_graph(cold)


@pytest.mark.parametrize('kind', ['user', 'item'])
def test_profiles_of_their_own_that_tell(kind: str) -> None:
    data = make()
    data[kind].profile_split = 'of another day'
    with pytest.raises(ValueError, match='interactions that would be looked'):
        HoldOutNodes(kind)(data)
    data = make(split=False)
    data[kind].profile_split = hash_split(data)
    with pytest.raises(ValueError, match='interactions that would be looked'):
        HoldOutNodes(kind)(data)
    # Of training interactions, nothing but the others is looked for.
    data = make()
    data[kind].profile_split = hash_split(data)
    _, cold = HoldOutNodes(kind)(data)
    found = pairs(cold, 'test_edge_label_index')
    assert found
    assert not found & pairs(data)
    assert pairs(cold) <= pairs(data)
    assert 'profile_split' not in cold[kind]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kind': 'film'}, "'kind' needs to be one of"),
        ({'share': 0.0}, r"'share' needs to be in \(0, 1\) \(got 0.0\)"),
        ({'share': 1.0}, "'share' needs to be in"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HoldOutNodes(**options)


def test_nothing_left_on_either_side() -> None:
    data = random_data(num_items=1, num_edges=10)
    with pytest.raises(ValueError, match='leaves no node of type'):
        HoldOutNodes('item')(data)
    data = make(split=False)
    data[RATES].edge_index = torch.tensor([[0, 0], [3, 4]])
    del data[RATES].time
    with pytest.raises(ValueError, match='no interaction to look for'):
        HoldOutNodes('user', 0.05, seed=1)(data)
    data[RATES].edge_index = data[RATES].edge_index[:, :1]
    seeds = (
        seed
        for seed in range(99)
        if 3 in torch.randperm(20, generator=torch.manual_seed(seed))[:18]
    )
    with pytest.raises(ValueError, match='no interaction to train on'):
        HoldOutNodes('item', 0.9, seed=next(seeds))(data)


def test_splits_of_pyg_go_along() -> None:
    """The names that 'RandomLinkSplit' gives, with as many labels."""
    data = make(split=False)
    store = data[RATES]
    store.edge_label_index = store.edge_index.flip(1)
    store.edge_label = torch.arange(store.edge_index.size(1))
    keep = torch.arange(40) % 2 == 0
    edge = keep[store.edge_label_index[0]]
    label = store.edge_label[edge]
    time = store.time[keep[store.edge_index[0]]]
    keep_nodes(data, {'user': keep})
    assert torch.equal(store.edge_label, label)
    assert torch.equal(store.time, time)
    assert torch.equal(store.edge_label_index, store.edge_index.flip(1))


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_negative_samples_of_other_splits_are_none(kind: str) -> None:
    data = make(split=False)
    known = pairs(data)
    split = RandomLinkSplit(num_val=0.2, num_test=0.1, edge_types=[RATES])
    for part in split(data):
        assert not pairs(part, 'edge_label_index') <= known
        _, cold = HoldOutNodes(kind, 0.3)(part)
        assert pairs(cold, 'test_edge_label_index') <= known


def test_both_sides_of_one_type() -> None:
    data, follows = HeteroData(), ('user', 'follows', 'user')
    data['user'].num_nodes = 6
    data[follows].edge_index = torch.tensor([[0, 1], [3, 4]])
    with pytest.raises(ValueError, match='two node types'):
        HoldOutNodes(edge_type=follows)(data)
