import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms.relation import check_relation, take


def graph():
    data = HeteroData()
    data['user'].num_nodes, data['item'].x = 2, torch.zeros(3, 1)
    data[EDGE_TYPE].edge_index = torch.tensor([[0, 1], [0, 2]])
    return data


def test_sizes_are_those_of_the_nodes():
    assert check_relation(graph(), EDGE_TYPE) == (2, 3)


def test_unknown_relation():
    with pytest.raises(ValueError, match=r"no relation .*'buys'.*got \[\("):
        check_relation(graph(), ('user', 'buys', 'item'))


def test_unknown_number_of_nodes():
    data = graph()
    del data['user']['num_nodes']
    data['user'].profile = ['a', 'b']
    with pytest.raises(ValueError, match=r"data\['user'\].num_nodes"):
        check_relation(data, EDGE_TYPE)


@pytest.mark.parametrize(
    'index',
    [
        None,
        [[0], [1]],
        torch.zeros(2, 3),
        torch.zeros(3, 2, dtype=torch.long),
        torch.zeros(2, dtype=torch.long),
    ],
)
def test_malformed_edge_index(index):
    data = graph()
    data[EDGE_TYPE].edge_index = index
    with pytest.raises(ValueError, match=r'of shape \(2, E\) \(got '):
        check_relation(data, EDGE_TYPE)


@pytest.mark.parametrize('bad', [-1, 3])
def test_node_that_does_not_exist(bad):
    data = graph()
    data[EDGE_TYPE].edge_index = torch.tensor([[0, 1], [0, bad]])
    match = rf"Interaction 1 .*'item'.* are 3 \(got index {bad}\)"
    with pytest.raises(ValueError, match=match):
        check_relation(data, EDGE_TYPE)


def test_take_knows_tensors_arrays_and_lists():
    index = torch.tensor([2, 0])
    assert take(torch.arange(6).view(2, 3), index, -1).tolist() == [
        [2, 0],
        [5, 3],
    ]
    assert take(np.arange(3), index).tolist() == [2, 0]
    assert take(['a', 'b', 'c'], index) == ['c', 'a']
    assert take(('a', 'b', 'c'), index) == ('c', 'a')
