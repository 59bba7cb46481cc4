import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, tables
from conformance.graphs import random_data
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import NGCF


class TestConformance(BackboneConformance):
    expected_repr = 'NGCF(30, 20, 8, num_layers=3)'

    def make(self, data: HeteroData) -> NGCF:
        return NGCF.from_data(data, 8, message_dropout=0.0)


@pytest.mark.parametrize('num_layers', [0, 1, 3])
def test_equals_the_formula(num_layers: int) -> None:
    torch.manual_seed(0)
    data = random_data()
    model = NGCF.from_data(data, 8, num_layers=num_layers).eval()
    adj, x = adjacency(as_graph(data)), tables(model)
    layers = [x]
    for k in range(num_layers):
        w1 = model.neighbor[k].weight.detach().double().t()
        w2 = model.affinity[k].weight.detach().double().t()
        x = (adj + torch.eye(50)) @ x @ w1 + ((adj @ x) * x) @ w2
        x = torch.where(x > 0, x, 0.2 * x)
        norm = x.norm(dim=1, keepdim=True)
        layers.append(x / torch.where(norm > 0, norm, 1.0))
    out = torch.cat(model(data))
    assert out.size(1) == model.out_dim
    assert torch.allclose(out.double(), torch.cat(layers, 1), atol=1e-6)


def test_dropout_only_in_training() -> None:
    data = random_data()
    for name in ('message_dropout', 'edge_dropout'):
        kwargs = {'message_dropout': 0.0, name: 0.5}
        model = NGCF.from_data(data, 8, **kwargs)
        assert not torch.equal(model(data)[0], model(data)[0])
        model.eval()
        assert torch.equal(model(data)[0], model(data)[0])


@pytest.mark.parametrize('name', ['message_dropout', 'edge_dropout'])
def test_bad_arguments(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}'"):
        NGCF(3, 3, **{name: 1.0})
