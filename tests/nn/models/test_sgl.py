import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, contrast, tables
from conformance.graphs import random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import SGL, LightGCN


class TestConformance(BackboneConformance):
    expected_repr = "SGL(30, 20, 8, num_layers=3, combine='sum')"

    def make(self, data: HeteroData) -> SGL:
        return SGL.from_data(data, 8, drop_ratio=0.0, ssl_weight=1e-3)


@pytest.mark.parametrize('combine', ['sum', 'mean'])
@pytest.mark.parametrize(
    'augmentation', ['edge_drop', 'node_drop', 'random_walk']
)
def test_contrast_equals_the_formula(augmentation: str, combine: str) -> None:
    torch.manual_seed(0)
    data, tau, p = random_data(), 0.3, 0.4
    batch, graph = random_batch(data), as_graph(data)
    model = SGL.from_data(
        data,
        8,
        combine=combine,
        augmentation=augmentation,
        drop_ratio=p,
        temperature=tau,
        ssl_weight=0.7,
        num_layers=2,
    )
    torch.manual_seed(5)
    got = model.loss(data, batch)[1]['ssl'].double()

    torch.manual_seed(5)  # the same random numbers, in the same order
    full, x = adjacency(graph), tables(model)

    def thin() -> Tensor:
        keep = torch.zeros_like(full)
        user, item = graph.edge_index[0], graph.edge_index[1] + 30
        if augmentation == 'node_drop':
            node = torch.rand(50) >= p
            value = (node[user] & node[item]).double()
        else:
            value = (torch.rand(graph.num_edges) >= p).double()
        keep[user, item] = keep[item, user] = value
        return full * keep

    def view() -> Tensor:
        first = thin()
        second = thin() if augmentation == 'random_walk' else first
        out = x + first @ x + second @ (first @ x)
        return out / 3 if combine == 'mean' else out

    expected = 0.7 * contrast(view(), view(), 30, batch, tau)
    assert torch.allclose(got, expected, atol=1e-6)


def test_what_is_scored_is_lightgcn() -> None:
    torch.manual_seed(0)
    data, batch = random_data(), random_batch(random_data())
    model = SGL.from_data(data, 8)
    plain = LightGCN.from_data(data, 8, edge_dropout=0.0)
    plain.load_state_dict(model.state_dict())
    for a, b in zip(model(data), plain(data), strict=True):
        assert torch.equal(a, b)
    own = plain.loss(data, batch)[1]
    terms = model.loss(data, batch)[1]
    assert all(torch.equal(terms[name], own[name]) for name in own)


@pytest.mark.parametrize(
    'kwargs', [{'augmentation': 'noise'}, {'drop_ratio': 1.0}]
)
def test_bad_arguments(kwargs: dict) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'"):
        SGL(3, 3, **kwargs)
