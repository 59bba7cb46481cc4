import pytest
import torch

from pyg_darec.graph import BipartiteGraph
from pyg_darec.train.validation import (
    check_weights,
    choose_monitor,
    validate,
)


@pytest.mark.parametrize(
    ('num_items', 'expected'),
    [(60, 20), (40, 20), (39, 19), (3, 1), (2, 1)],
)
def test_default_monitor(num_items, expected):
    pair = torch.tensor([[0], [1]])
    label = {'val': torch.tensor([[1], [0]])}
    graph = BipartiteGraph(pair, 2, num_items, edge_label_index=label)
    assert choose_monitor(graph, None) == f'Recall@{expected}'


def test_no_validation_interactions(tiny):
    graph = tiny.graph(val=False)
    assert choose_monitor(graph, 'NDCG@5') is None
    graph.edge_label_index['val'] = torch.empty(2, 0, dtype=torch.long)
    assert choose_monitor(graph, None) is None


@pytest.mark.parametrize(
    'monitor', ['', '@20', 'Recall@', 'Recall@0', 'Recall@-1', 'recall@20']
)
def test_bad_monitor(graph, monitor):
    with pytest.raises(ValueError, match="'monitor' needs to be one of"):
        choose_monitor(graph, monitor)


def test_validate(graph, model):
    metrics = validate(model, graph, 'NDCG@7')
    assert 0 < metrics['NDCG@7'] <= 1
    assert all(name.endswith('@7') for name in metrics)


def test_check_weights(model):
    check_weights(model, 3)
    model.item.weight.data[2, 1] = torch.inf
    with pytest.raises(FloatingPointError, match=r"'item.weight' .* epoch 3"):
        check_weights(model, 3)
