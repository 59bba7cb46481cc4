import copy
import gc
import warnings
import weakref

import pytest
import torch
from conformance.graphs import RATES, random_data
from torch_geometric.transforms import RandomLinkSplit

from pyg_darec.as_graph import as_graph
from pyg_darec.profiles import hash_split


def test_builds_once() -> None:
    data = random_data()
    graph = as_graph(data)
    assert as_graph(data) is graph
    assert as_graph(graph) is graph
    assert as_graph(copy.copy(data)) is not graph


def test_sees_changes() -> None:
    data = random_data()
    graph = as_graph(data)
    data[RATES].edge_index = data[RATES].edge_index[:, :5]
    assert as_graph(data).num_edges == 5 != graph.num_edges
    data['user'].llm_x = torch.randn(30, 3)
    assert as_graph(data).llm_x['user'].size(1) == 3
    data['user'].llm_x[0, 0] = torch.nan  # in place
    with pytest.raises(ValueError, match='not finite'):
        as_graph(data)
    data['user'].llm_x[0, 0] = 0
    data['item'].num_nodes = 25
    with pytest.raises(ValueError, match=r'items need.*25 rows'):
        as_graph(data)


def test_sees_other_values_and_names() -> None:
    data = random_data()
    for value in (0.5, 1.5, 'a', 'b', [1], [1]):
        before = as_graph(data)
        data.alpha = value
        assert as_graph(data) is not before
        assert as_graph(data).source.alpha is value
        assert as_graph(data) is as_graph(data)
    data[RATES].other = data[RATES].test_edge_label_index
    del data[RATES].test_edge_label_index
    assert 'test' not in as_graph(data).edge_label_index


def test_of_inference_tensors() -> None:
    with torch.inference_mode():
        data = random_data()
    assert as_graph(data) is as_graph(data)


def test_profiles_that_were_made_before_the_split() -> None:
    data = random_data()
    data['user'].profile_split = hash_split(data)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        as_graph(data)
    data[RATES].edge_index = data[RATES].edge_index[:, 5:]
    with pytest.warns(UserWarning, match=r"of \['user'\] were .* split first"):
        as_graph(data)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        as_graph(data)  # once
        for split in ('val', 'test'):
            del data[RATES][f'{split}_edge_label_index']
        as_graph(data)  # nothing to tell


def test_keeps_no_data_alive() -> None:
    data = random_data()
    as_graph(data)
    alive = weakref.ref(data)
    del data
    gc.collect()
    assert alive() is None


def test_of_something_else() -> None:
    with pytest.raises(TypeError, match=r"\(got 'dict'\)"):
        as_graph({})  # type: ignore[arg-type]


def test_profiles_that_were_made_before_a_split_of_pyg() -> None:
    data = random_data()
    for split in ('val', 'test'):
        del data[RATES][f'{split}_edge_label_index']
    data['user'].profile_split = hash_split(data)
    split = RandomLinkSplit(num_val=0.2, num_test=0.2, edge_types=[RATES])
    for part in split(data):
        with pytest.warns(UserWarning, match='split first'):
            as_graph(part)
    # A sample is no split.
    part = data.clone()
    part['user'].n_id = torch.arange(30)
    part[RATES].edge_label_index = data[RATES].edge_index[:, :5]
    part[RATES].edge_index = data[RATES].edge_index[:, :50]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        as_graph(part)
