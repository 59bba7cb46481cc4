from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from retrieval.example import shop

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval import find_nodes
from pyg_darec.retrieval.nodes import (
    as_index,
    node_ids,
    node_values,
)


def test_ids_of_mixed_types() -> None:
    assert find_nodes(shop(), ['8', 7, 'seven', 7]).tolist() == [2, 0, 1, 0]
    assert find_nodes(shop(), ['🫖', 'ß'], 'item').tolist() == [4, 2]
    assert find_nodes(shop(), []).dtype == torch.long


def test_ids_match_if_they_are_written_alike() -> None:
    data = shop()
    assert find_nodes(data, ['7', np.int64(7), np.str_('8')]).tolist() == [
        0,
        0,
        2,
    ]
    assert find_nodes(data, [8, 7.0]).tolist() == [2, 0]
    data['user'].id = [7, '7', 1]
    assert find_nodes(data, ['7', 7]).tolist() == [1, 0]  # exact comes first


def test_without_ids_indices_are_ids() -> None:
    graph = BipartiteGraph(torch.tensor([[0], [1]]), 2, 3)
    assert find_nodes(graph, [1, '0']).tolist() == [1, 0]
    assert list(node_ids(graph, 'item')) == [0, 1, 2]
    assert find_nodes(graph, torch.tensor([1, 0])).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"list of ids \(got '10'\)"):
        find_nodes(graph, '10')


@given(st.lists(st.text() | st.integers(), unique_by=str, max_size=9))
def test_every_node_finds_itself(ids: list[str | int]) -> None:
    data = shop()
    data['item'].id, data['item'].num_nodes = ids, len(ids)
    del data['item'].llm_x
    data['user', 'rates', 'item'].edge_index = torch.empty(2, 0).long()
    assert find_nodes(data, ids, 'item').tolist() == list(range(len(ids)))
    texts = [str(value) for value in ids]
    assert find_nodes(data, texts, 'item').tolist() == list(range(len(ids)))


@pytest.mark.parametrize('value', ['9', 9, True, 1.0, None, '', [7]])
def test_unknown_id(value: object) -> None:
    match = r"one user of the data.*is none \(got .* like \[7, 'seven'"
    with pytest.raises(ValueError, match=match):
        find_nodes(shop(), ['8', value])


def test_id_of_two_nodes() -> None:
    data = shop()
    data['user'].id = ['a', 'b', 'a']
    with pytest.raises(ValueError, match=r"id of 2 users \(got 'a'"):
        find_nodes(data, ['a'])


def test_values_that_are_no_list() -> None:
    data = shop()
    data['item'].price = torch.arange(5)
    data['item'].sizes = [1, 2]
    graph = as_graph(data)
    assert node_values(graph, 'item', 'price') == [0, 1, 2, 3, 4]
    assert node_values(graph, 'user', 'price') is None
    with pytest.raises(ValueError, match=r'\.sizes needs one.*, 5 \(got 2\)'):
        node_values(graph, 'item', 'sizes')


@pytest.mark.parametrize('values', [[2, 0], np.array([2, 0]), range(2, -1, -2)])
def test_indices_of_any_kind(values: Sequence[int]) -> None:
    for some in (values, pd.Series(values), pd.Series(values, index=[7, 0])):
        assert as_index(some, 3, 'users', 'user').tolist() == [2, 0]
    match = r"'users' needs to be a list .* 'find_nodes' .*\(got "
    with pytest.raises(ValueError, match=match):
        as_index(pd.Series(['2']), 3, 'users', 'user')
