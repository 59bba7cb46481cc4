import warnings

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.count_nodes import count_nodes
from pyg_darec.transforms import KCore


def test_what_the_number_is_known_from() -> None:
    data = HeteroData()
    data['a'].num_nodes, data['a'].llm_x = 4, torch.rand(9, 2)
    data['b'].x = torch.rand(5, 2)
    data['c'].llm_x = torch.rand(6, 2)
    sizes = [count_nodes(data, kind, 'llm_x') for kind in 'abc']
    assert sizes == [4, 5, 6]


def test_nothing_is_guessed() -> None:
    data = HeteroData()
    data['item'].node_name = ['one', 'two']  # a number to PyG, but for a list
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(ValueError, match=r"'item' is not known.*node_name"):
            count_nodes(data, 'item')
    with pytest.raises(ValueError, match=r"no node type 'user'; .*data\["):
        count_nodes(data, 'user')
    assert data.node_types == ['item']


def test_transforms_need_what_pyg_filters_by() -> None:
    """It would leave all rows of 'llm_x' there."""
    data = HeteroData()
    data['user'].num_nodes, data['item'].llm_x = 3, torch.rand(4, 2)
    edge_index = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 3]])
    data['user', 'rates', 'item'].edge_index = edge_index
    with pytest.raises(ValueError, match=r"data\['item'\].num_nodes"):
        KCore(2)(data)
