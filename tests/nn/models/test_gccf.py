import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, tables
from conformance.graphs import random_data
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import GCCF


class TestConformance(BackboneConformance):
    expected_repr = 'GCCF(30, 20, 8, num_layers=3)'

    def make(self, data: HeteroData) -> GCCF:
        return GCCF.from_data(data, 8)


@pytest.mark.parametrize('num_layers', [0, 1, 3])
def test_equals_the_formula(num_layers: int) -> None:
    torch.manual_seed(0)
    data = random_data()
    model = GCCF.from_data(data, 8, num_layers=num_layers)
    adj, x = adjacency(as_graph(data), self_loops=True), tables(model)
    layers = [
        torch.linalg.matrix_power(adj, k) @ x for k in range(num_layers + 1)
    ]
    out = torch.cat(model(data))
    assert out.size(1) == model.out_dim == 8 * (num_layers + 1)
    assert torch.allclose(out.double(), torch.cat(layers, 1), atol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="'num_layers'"):
        GCCF(3, 3, num_layers=-1)
