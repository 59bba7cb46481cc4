import torch
from torch_geometric.data import HeteroData

from pyg_darec import BipartiteGraph
from pyg_darec.profiles import hash_split


def make_data(pairs, num_items=4, edge_type=('user', 'rates', 'item')):
    data = HeteroData()
    data[edge_type[0]].num_nodes, data[edge_type[2]].num_nodes = 3, num_items
    data[edge_type].edge_index = torch.tensor(pairs)
    return data


def test_tells_training_interactions_apart():
    data = make_data([[0, 1, 2], [3, 1, 0]])
    same = make_data([[2, 1, 0, 1], [0, 1, 3, 1]])
    same['user', 'rates', 'item'].test_edge_label_index = data[
        'user', 'rates', 'item'
    ].edge_index
    assert hash_split(data) == hash_split(same)
    assert hash_split(data) == hash_split(BipartiteGraph.from_data(data))
    others = [
        make_data([[0, 1, 2], [3, 1, 1]]),
        make_data([[0, 1, 2], [3, 1, 0]], num_items=5),
    ]
    assert hash_split(data) not in map(hash_split, others)


def test_other_relation():
    edge_type = ('reader', 'reads', 'book')
    data = make_data([[0, 1, 2], [3, 1, 0]], edge_type=edge_type)
    known = hash_split(make_data([[0, 1, 2], [3, 1, 0]]))
    assert hash_split(data, edge_type) == known
