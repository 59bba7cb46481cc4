import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, contrast, tables
from conformance.graphs import random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import SimGCL


class TestConformance(BackboneConformance):
    expected_repr = "SimGCL(30, 20, 8, num_layers=3, combine='sum')"

    def make(self, data: HeteroData) -> SimGCL:
        return SimGCL.from_data(data, 8, eps=0.0, ssl_weight=1e-3)


def test_contrast_equals_the_formula() -> None:
    torch.manual_seed(0)
    data, tau, eps = random_data(), 0.3, 0.5
    batch, graph = random_batch(data), as_graph(data)
    model = SimGCL.from_data(
        data, 8, eps=eps, temperature=tau, ssl_weight=0.7, num_layers=2
    )
    torch.manual_seed(5)
    got = model.loss(data, batch)[1]['ssl'].double()

    torch.manual_seed(5)
    adj, x = adjacency(graph), tables(model)

    def view() -> Tensor:
        out = layer = x
        for _ in range(2):
            layer = adj @ layer
            noise = torch.cat([torch.rand(30, 8), torch.rand(20, 8)]).double()
            noise = noise / noise.norm(dim=1, keepdim=True)
            layer = layer + eps * noise * layer.sign()
            out = out + layer
        return out

    expected = 0.7 * contrast(view(), view(), 30, batch[:2], tau)
    assert torch.allclose(got, expected, atol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="'eps'"):
        SimGCL(3, 3, eps=-0.1)
