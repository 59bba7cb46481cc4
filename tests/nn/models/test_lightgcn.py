import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, tables
from conformance.graphs import RATES, random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import LightGCN


class TestConformance(BackboneConformance):
    expected_repr = "LightGCN(30, 20, 8, num_layers=3, combine='sum')"

    def make(self, data: HeteroData) -> LightGCN:
        return LightGCN.from_data(data, 8, edge_dropout=0.0)


def dense_reference(model: LightGCN, data: HeteroData) -> tuple[Tensor, Tensor]:
    """The paper's equations on a dense adjacency matrix in float64."""
    adj, x = adjacency(as_graph(data)), tables(model)
    out = [torch.linalg.matrix_power(adj, k) @ x for k in range(4)]
    total = sum(out, start=torch.zeros_like(x))
    total = total / 4 if model.combine == 'mean' else total
    return total[: model.num_users], total[model.num_users :]


@pytest.mark.parametrize('combine', ['sum', 'mean'])
def test_equals_the_formula(combine: str) -> None:
    torch.manual_seed(0)
    data = random_data()
    model = LightGCN.from_data(data, 8, combine=combine).eval()
    for out, expected in zip(
        model(data), dense_reference(model, data), strict=True
    ):
        assert torch.allclose(out.double(), expected, atol=1e-6)


def test_equals_pyg() -> None:
    torch.manual_seed(0)
    data = random_data()
    ours = LightGCN.from_data(data, 8, combine='mean').eval()
    theirs = PyGLightGCN(50, 8, num_layers=3)
    with torch.no_grad():
        weight = [ours.user_embedding.weight, ours.item_embedding.weight]
        theirs.embedding.weight.copy_(torch.cat(weight))
    user, item = data[RATES].edge_index
    item = item + 30
    edge_index = torch.cat(
        [torch.stack([user, item]), torch.stack([item, user])], dim=1
    )
    out = theirs.get_embedding(edge_index)
    assert torch.allclose(torch.cat(ours(data)), out, atol=1e-6)


def test_bpr_and_regularisation() -> None:
    torch.manual_seed(0)
    data, weight = random_data(), 0.01
    batch = user, pos, neg = random_batch(data)
    model = LightGCN.from_data(
        data, 8, edge_dropout=0.0, reg_weight=weight, num_layers=0
    )
    u, i = (p.detach().double() for p in model.parameters())
    margin = (u[user] * i[pos]).sum(1) - (u[user] * i[neg]).sum(1)
    bpr = -margin.sigmoid().log().mean()
    reg = weight * (u.pow(2).sum() + i.pow(2).sum())
    terms = model.loss(data, batch)[1]
    assert torch.allclose(terms['bpr'].double(), bpr, atol=1e-6)
    assert torch.allclose(terms['reg'].double(), reg, atol=1e-6)

    model.reg = 'batch'
    reg = sum(x.pow(2).sum() for x in (u[user], i[pos], i[neg]))
    reg = weight * reg / 2 / len(user)
    assert torch.allclose(
        model.loss(data, batch)[1]['reg'].double(), reg, atol=1e-6
    )


def test_edge_dropout_only_in_training() -> None:
    torch.manual_seed(0)
    data = random_data()
    model = LightGCN.from_data(data, 8, edge_dropout=0.5)
    assert not torch.equal(model(data)[0], model(data)[0])
    model.eval()
    assert torch.equal(model(data)[0], model(data)[0])


def test_graph_of_another_size() -> None:
    model = LightGCN(5, 6)
    with pytest.raises(ValueError, match='5 users and 6 items'):
        model(random_data())
    assert as_graph(random_data()).num_users == 30


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'num_layers': -1}, 'num_layers'),
        ({'combine': 'max'}, 'combine'),
        ({'edge_dropout': 1.0}, 'edge_dropout'),
        ({'dim': 0}, 'dim'),
        ({'num_users': 0}, 'num_users'),
        ({'reg': 'some'}, 'reg'),
    ],
)
def test_bad_arguments(kwargs: dict, match: str) -> None:
    with pytest.raises(ValueError, match=f"'{match}'"):
        LightGCN(**{'num_users': 3, 'num_items': 3, **kwargs})
