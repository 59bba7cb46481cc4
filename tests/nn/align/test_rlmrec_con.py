import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import METADATA, random_batch, random_data
from torch.nn import Module
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_darec.nn.align import RLMRecConAlign
from pyg_darec.nn.models import LightGCN


class TestConformance(AlignerConformance):
    expected_repr = (
        "RLMRecConAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        'llm_dim=12, weight=0.01, temperature=0.2)'
    )

    def wrap(self, model: Module) -> RLMRecConAlign:
        return RLMRecConAlign(model, 12)


def test_equals_the_formula() -> None:
    """Every row of the batch on its own, repeated ones included."""
    torch.manual_seed(0)
    data = random_data()
    batch = random_batch(data)
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = RLMRecConAlign(backbone, 12, weight=0.3, temperature=0.5)
    user, item = backbone(data)
    with torch.no_grad():
        users = model.encoder(data['user'].llm_x, 8)
        items = model.encoder(data['item'].llm_x, 8)

    def term(anchor, positive, candidate):  # type: ignore[no-untyped-def]
        def cos(x, y):  # type: ignore[no-untyped-def]
            return torch.cosine_similarity(x.double(), y.double(), dim=-1)

        ratio = (
            torch.exp(cos(anchor, positive) / 0.5)
            / torch.exp(cos(anchor[None], candidate) / 0.5).sum()
        )
        return -torch.log(ratio)

    expected = torch.zeros(()).double()
    u, pos, neg = batch
    for k in range(len(u)):
        expected += term(user[u[k]], users[u[k]], users)
        expected += term(item[pos[k]], items[pos[k]], items[pos])
        expected += term(item[neg[k]], items[neg[k]], items[neg])
    got = model.loss(data, batch)[1]['con'].double()
    assert torch.allclose(got, 0.3 * expected / len(u), atol=1e-6)


def test_width_is_taken_from_the_first_step() -> None:
    data = random_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    model = RLMRecConAlign(
        to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA), 12
    )
    assert 'con' in model.loss(data, random_batch(data))[1]
    assert model.encoder.out_dim == 16


def test_bad_temperature() -> None:
    with pytest.raises(ValueError, match="'temperature'"):
        RLMRecConAlign(LightGCN(3, 3), 12, temperature=0.0)


def test_terms_of_an_aligner_inside_are_kept() -> None:
    data, batch = random_data(), random_batch(random_data())
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    inner = RLMRecConAlign(backbone, 12, reg_weight=0.2)
    outer = RLMRecConAlign(inner, 12, reg_weight=0.1)
    before, terms = (model.loss(data, batch)[1] for model in (inner, outer))
    inner.weight, inner.reg_weight = 0.0, 0.0
    alone = outer.loss(data, batch)[1]
    for name in ('con', 'align_reg'):
        added = before[name] + alone[name]
        assert torch.allclose(terms[name], added)
        assert added > alone[name]
