from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import Compose

from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms import KCore, SplitInteractions


def graph(pairs, num_users=8, num_items=8):
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = num_users, num_items
    data['user'].id = [f'u{i}' for i in range(num_users)]
    data['item'].id = [f'i{i}' for i in range(num_items)]
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()
    data[EDGE_TYPE].edge_index = index.contiguous()
    return data


def naive_core(pairs, k_user, k_item):
    """Removes one node at a time until nothing changes."""
    pairs = set(pairs)
    while True:
        user = Counter(pair[0] for pair in pairs)
        item = Counter(pair[1] for pair in pairs)
        weak = [p for p in pairs if user[p[0]] < k_user or item[p[1]] < k_item]
        if not weak:
            return pairs
        u, i = weak[0]
        side, node = (0, u) if user[u] < k_user else (1, i)
        pairs = {pair for pair in pairs if pair[side] != node}


def named_pairs(data):
    user, item = data['user'].id, data['item'].id
    return [
        (int(user[u][1:]), int(item[i][1:]))
        for u, i in data[EDGE_TYPE].edge_index.t().tolist()
    ]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=64),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_equals_removal_one_by_one(pairs, k_user, k_item):
    expected = naive_core(pairs, k_user, k_item)
    data, transform = graph(pairs), KCore((k_user, k_item))
    if not expected:
        with pytest.raises(ValueError, match=r"lower 'k' \(got "):
            transform(data)
        return
    out = transform(data)
    # Repeated interactions of nodes that stay are all kept, in order.
    assert named_pairs(out) == [pair for pair in pairs if pair in expected]
    assert out['user'].num_nodes == len({u for u, _ in expected})
    assert out['item'].num_nodes == len({i for _, i in expected})
    again = transform(out)
    assert torch.equal(again[EDGE_TYPE].edge_index, out[EDGE_TYPE].edge_index)


def test_attributes_and_other_relations_follow():
    pairs = [(0, 0), (0, 1), (2, 0), (2, 1), (3, 3)]
    data = graph(pairs, 4, 4)
    data['user'].x = torch.arange(4.0).view(4, 1)
    data['user'].profile = list('abcd')
    data['user'].source = 'survey'
    data['tag'].num_nodes = 2
    data[EDGE_TYPE].time = torch.arange(5)
    data[EDGE_TYPE].note = list('vwxyz')
    has = ('item', 'has', 'tag')
    data[has].edge_index = torch.tensor([[1, 2, 0], [0, 1, 1]])
    data[has].weight = torch.tensor([1.0, 2.0, 3.0])

    out = KCore(2)(data)
    assert out['user'].id == ['u0', 'u2']
    assert out['user'].x.flatten().tolist() == [0, 2]
    assert out['user'].profile == ['a', 'c']
    assert out['user'].source == 'survey'
    assert out['tag'].num_nodes == 2
    assert out[EDGE_TYPE].edge_index.tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert out[EDGE_TYPE].time.tolist() == [0, 1, 2, 3]
    assert out[EDGE_TYPE].note == list('vwxy')
    assert out[has].edge_index.tolist() == [[1, 0], [0, 1]]
    assert out[has].weight.tolist() == [1, 3]
    # The input is as it was.
    assert data['user'].num_nodes == 4
    assert data['user'].profile == list('abcd')


def test_works_in_compose():
    assert Compose([KCore(1)])(graph([(0, 0)], 1, 1)).num_nodes == 2


def test_repr():
    assert str(KCore(5)) == 'KCore(5)'
    assert str(KCore((10, 5))) == 'KCore((10, 5))'


@pytest.mark.parametrize('k', [0, -1, 1.5, '2', (1, 0), (1, 2, 3)])
def test_wrong_k(k):
    with pytest.raises(ValueError, match=r"'k' needs to be .*\(got "):
        KCore(k)


def test_nothing_left():
    with pytest.raises(ValueError, match=r"lower 'k' \(got \(3, 3\)\)"):
        KCore(3)(graph([(0, 0), (1, 1)]))


def test_split_data():
    pairs = [(u, i) for u in range(8) for i in range(8)]
    data = SplitInteractions()(graph(pairs))
    with pytest.raises(ValueError, match="apply 'KCore' before 'SplitInter"):
        KCore(2)(data)


def test_not_a_hetero_data():
    with pytest.raises(TypeError, match=r"HeteroData.*\(got 'Data'\)"):
        KCore(2)(Data())


def test_repr_of_a_class_of_ones_own():
    class Two(KCore):
        def __init__(self):
            super().__init__(2)

    assert repr(Two()) == 'Two(2)'


def test_both_sides_of_one_type():
    data, follows = HeteroData(), ('user', 'follows', 'user')
    data['user'].num_nodes = 6
    data[follows].edge_index = torch.tensor([[0, 1], [3, 4]])
    with pytest.raises(ValueError, match='two node types'):
        KCore(1, edge_type=follows)(data)


def test_relations_as_matrices():
    data, bought = graph([(0, 0), (0, 1), (1, 0)]), ('item', 'next', 'item')
    data[bought].adj_t = torch.eye(8).to_sparse_csr()
    with pytest.raises(ValueError, match="'adj_t'"):
        KCore(1)(data)


def test_an_edge_index_that_knows_its_size():
    data = graph([(0, 0), (0, 1), (1, 0)])
    data[EDGE_TYPE].edge_index = EdgeIndex(
        data[EDGE_TYPE].edge_index, sparse_size=(8, 8)
    )
    index = KCore(1)(data)[EDGE_TYPE].edge_index
    assert type(index) is torch.Tensor
    assert index.tolist() == [[0, 0, 1], [0, 1, 0]]
