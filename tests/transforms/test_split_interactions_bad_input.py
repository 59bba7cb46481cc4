import pytest
import torch
from torch_geometric.data import Data, HeteroData

from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms import SplitInteractions


def graph(pairs=((0, 0), (0, 1), (1, 1)), time=None):
    data = HeteroData()
    data['user'].num_nodes = data['item'].num_nodes = 5
    data[EDGE_TYPE].edge_index = torch.tensor(pairs).t()
    if time is not None:
        data[EDGE_TYPE].time = torch.tensor(time)
    return data


COMPLETE = [(u, i) for u in range(5) for i in range(5)]


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'strategy': 'last'}, r"'strategy'.*\(got 'last'\)"),
        ({'ratios': (0.8, 0.2)}, r"'ratios' needs three shares"),
        ({'ratios': (1.2, -0.1, -0.1)}, r"'ratios' needs three shares"),
        ({'ratios': (float('nan'), 0.5, 0.5)}, r"'ratios' needs three"),
        ({'ratios': (0.6, 0.2, 0.1)}, r'add up to 1 \(got \(0.6, 0.2, 0.1\)'),
        ({'ratios': (0, 0.5, 0.5)}, 'leaves nothing to train on'),
    ],
)
def test_wrong_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        SplitInteractions(**kwargs)


def test_no_interactions():
    data = graph([(0, 0)])
    data[EDGE_TYPE].edge_index = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match='leaves nothing to train on'):
        SplitInteractions()(data)


def test_nothing_held_out_is_a_warning():
    data = graph([(0, 0), (0, 1)])
    with pytest.warns(UserWarning, match=r"no pairs for \['val_edge_label"):
        out = SplitInteractions()(data)
    assert out[EDGE_TYPE].num_edges == 2
    at_once = graph([(0, 0), (0, 1)], time=[5, 5])
    with pytest.warns(UserWarning, match='too many happened at one time'):
        SplitInteractions('temporal')(at_once)


def test_split_twice():
    data = SplitInteractions()(graph(COMPLETE))
    with pytest.raises(ValueError, match=r"split already.*'val_edge_label_i"):
        SplitInteractions()(data)


@pytest.mark.parametrize('name', ['rev_rates', 'rated_by'])
def test_stored_reverse_leaks(name):
    data = graph(COMPLETE)
    pairs = data[EDGE_TYPE].edge_index
    data['item', name, 'user'].edge_index = pairs.flip(0)
    with pytest.raises(
        ValueError, match=f"{name}.*split before 'ToUndirected'"
    ):
        SplitInteractions()(data)
    # One pair is enough.
    held_out = SplitInteractions()(graph(COMPLETE))[EDGE_TYPE]
    held_out = held_out.test_edge_label_index[:, :1]
    data['item', name, 'user'].edge_index = held_out.flip(0)
    with pytest.raises(ValueError, match=r'\(got 1 of \d+ pairs\)'):
        SplitInteractions()(data)


def test_another_relation_with_held_out_pairs():
    data = graph(COMPLETE)
    data['user', 'clicks', 'item'].edge_index = data[EDGE_TYPE].edge_index
    with pytest.warns(UserWarning, match="'clicks'.* would show held-out"):
        out = SplitInteractions()(data)
    assert out[EDGE_TYPE].test_edge_label_index.size(1) > 0


def test_relations_without_held_out_pairs(recwarn):
    out = SplitInteractions()(graph(COMPLETE))
    known = out[EDGE_TYPE].edge_index
    data = graph(COMPLETE)
    data['genre'].num_nodes = 5
    data['user', 'clicks', 'item'].edge_index = known
    data['item', 'rated_by', 'user'].edge_index = known.flip(0)
    data['item', 'in', 'genre'].edge_index = data[EDGE_TYPE].edge_index
    data['genre', 'of', 'user'].edge_index = data[EDGE_TYPE].edge_index
    again = SplitInteractions()(data)
    assert again[EDGE_TYPE].edge_index.equal(known)
    assert not recwarn.list


@pytest.mark.parametrize('strategy', ['leave_last', 'temporal'])
def test_missing_time(strategy):
    data = graph([(0, 0), (0, 1)])
    with pytest.raises(ValueError, match=f"'time' of .*{strategy}"):
        SplitInteractions(strategy)(data)


@pytest.mark.parametrize('strategy', ['leave_last', 'temporal'])
def test_time_that_is_not_a_number(strategy):
    data = graph([(0, 0), (0, 1), (1, 1)], time=[0.0, 1.0, float('nan')])
    match = r"'time' of .* at interaction 2, user 1 and item 1.*\(got nan\)"
    with pytest.raises(ValueError, match=match):
        SplitInteractions(strategy)(data)


def test_time_of_wrong_shape():
    data = graph([(0, 0), (0, 1)], time=[0.0])
    with pytest.raises(ValueError, match=r'shape \(2,\).*\(got \(1,\)\)'):
        SplitInteractions('temporal')(data)


def test_not_a_hetero_data():
    with pytest.raises(TypeError, match=r"HeteroData.*\(got 'Data'\)"):
        SplitInteractions()(Data())


@pytest.mark.parametrize('relation', [EDGE_TYPE, ('item', 'rev', 'user')])
def test_relations_as_matrices(relation):
    """Held-out pairs would stay in there."""
    data = graph(COMPLETE)
    data[relation].adj_t = torch.ones(5, 5).to_sparse_csr()
    before = data.to_dict()
    with pytest.raises(ValueError, match="'adj_t'"):
        SplitInteractions()(data)
    assert data.to_dict() == before
