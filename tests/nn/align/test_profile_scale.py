"""How much of what profiles say arrives at the output of a model."""

import math

import pytest
import torch
from conformance.graphs import random_batch, random_data, telling_data
from torch import Tensor
from torch.nn import Dropout, Module
from torch_geometric.data import HeteroData
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec import DaRecAlign
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import profile_scale
from pyg_darec.nn.models import DCCF, NGCF, LightGCN


def aligned(model: Module, data: HeteroData, **kwargs: float) -> DaRecAlign:
    model = DaRecAlign(model, 12, **kwargs)
    model(data)
    return model


def scale(model: DaRecAlign) -> float:
    assert model.injection is not None
    return round(float(model.injection.scale), 6)


def test_reference_is_lightgcn() -> None:
    data = telling_data()
    assert scale(aligned(LightGCN.from_data(data, 8), data)) == 1.0


def test_equals_the_formula() -> None:
    """With dense matrices in float64, for a model that is not linear."""
    torch.manual_seed(0)
    data = telling_data()
    model = DaRecAlign(DCCF.from_data(data, 8), 12).double()
    model(data)
    assert model.injection is not None
    graph = as_graph(data)
    profiles = model.injection.prepare(graph)
    added = torch.cat(
        [
            profiles['user'].x @ model.injection.user_weight.t(),
            profiles['item'].x @ model.injection.item_weight.t(),
        ]
    ).detach()
    size = graph.num_users, graph.num_items
    met = torch.zeros(size, dtype=torch.double)
    met[graph.edge_index[0], graph.edge_index[1]] = 1
    matrix = torch.zeros(sum(size), sum(size), dtype=torch.double)
    matrix[: size[0], size[0] :] = met
    matrix += matrix.t().clone()
    root = matrix.sum(1).clamp(min=1e-30).rsqrt()
    matrix = root[:, None] * matrix * root[None, :]
    wanted = sum(torch.linalg.matrix_power(matrix, n) @ added for n in range(4))
    backbone = model.model
    before = torch.cat(backbone(data)).detach()
    with torch.no_grad():
        backbone.user_embedding.weight += added[: size[0]]
        backbone.item_embedding.weight += added[size[0] :]
    found = torch.cat(backbone(data)).detach() - before
    ratio = float(wanted.norm() / found.norm())
    assert ratio < 0.9
    assert math.isclose(scale(model), ratio, rel_tol=0.05)


@pytest.mark.parametrize('kind', ['ours', 'PyG'])
def test_means_of_layers_get_what_sums_get(kind: str) -> None:
    """PyG's LightGCN takes means, and started with a quarter of it."""
    data = telling_data()
    graph = as_graph(data)
    torch.manual_seed(0)
    total = LightGCN.from_data(data, 8, combine='sum')
    mean: Module = LightGCN.from_data(data, 8, combine='mean')
    if kind == 'PyG':
        mean = PyGLightGCN(graph.num_nodes, 8, 3)
    added: list[Tensor] = []
    for model in (total, mean):
        whole = aligned(model, data, neighbor_weight=0.0).eval()
        pair, own = whole(data), whole.model(data)
        added.append(torch.cat(pair) - torch.cat(own))
    assert added[0].norm() > 1
    assert torch.allclose(added[0], added[1], atol=1e-5)


def test_without_tables_or_reason_nothing_is_scaled() -> None:
    data = telling_data()

    class Embed(Module):
        def __init__(self) -> None:
            super().__init__()
            size = data['user'].num_nodes, data['item'].num_nodes
            self.user = torch.nn.Parameter(torch.randn(size[0], 8))
            self.item = torch.nn.Parameter(torch.randn(size[1], 8))

        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            return self.user, self.item

    assert scale(aligned(Embed(), data)) == 1.0
    weightless = aligned(
        LightGCN.from_data(data, 8, combine='mean'), data, profile_weight=0.0
    )
    assert scale(weightless) == 1.0
    # Nothing is added, and a graph with other profiles may come.
    noise = random_data()
    assert scale(aligned(LightGCN.from_data(noise, 8), noise)) == 0.0


def test_zero_response() -> None:
    """A model that does not look at its tables."""
    graph = as_graph(telling_data())
    added = torch.ones(graph.num_users, 3), torch.ones(graph.num_items, 3)
    none = torch.zeros_like(added[0]), torch.zeros_like(added[1])
    assert profile_scale(graph, added, lambda _: none) == 1.0
    assert profile_scale(graph, none, lambda pair: pair) == 1.0


def test_found_once_and_saved() -> None:
    data = telling_data()
    model = aligned(LightGCN.from_data(data, 8, combine='mean'), data).eval()
    out = model(data)
    assert scale(model) == 4.0
    with torch.no_grad():
        for param in model.parameters():
            param.mul_(3)
    model(data)
    assert scale(model) == 4.0  # also after training
    other = DaRecAlign(LightGCN.from_data(data, 8, combine='mean'), 12).eval()
    other.load_state_dict(model.state_dict())
    assert scale(other) == 4.0
    assert torch.allclose(other(data)[0], model(data)[0])
    model.reset_parameters()
    assert scale(model) == 0.0
    assert not torch.equal(model(data)[0], out[0])


def test_touches_no_state() -> None:
    """Neither random numbers nor the modes of the parts of a model."""
    data = telling_data()
    model = DaRecAlign(NGCF.from_data(data, 8, message_dropout=0.5), 12)
    frozen = Dropout()
    model.model.frozen = frozen.eval()
    model.model.train()
    frozen.eval()
    state = torch.get_rng_state()
    model.renew(as_graph(data), 1, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.model.training
    assert not frozen.training
    assert scale(model) > 0
    model.loss(data, random_batch(data))[0].backward()
