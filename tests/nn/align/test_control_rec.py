from typing import Any

import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import METADATA, random_batch, random_data
from torch import Tensor
from torch.nn import Module
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_darec.nn.align import ControlRecAlign
from pyg_darec.nn.models import LightGCN

DATA, BATCH = random_data(), random_batch(random_data())


def plain() -> LightGCN:
    torch.manual_seed(0)
    return LightGCN.from_data(DATA, 8, edge_dropout=0.0)


class TestConformance(AlignerConformance):
    expected_repr = (
        "ControlRecAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        'llm_dim=12, weight=0.01, desc_weight=1.0, next_weight=1.0, '
        'temperature=0.2)'
    )

    def wrap(self, model: Module) -> ControlRecAlign:
        return ControlRecAlign(model, 12)


def both_ways(first: Tensor, second: Tensor, tau: float) -> Tensor:
    """Row by row: each first vector has to find the second one of its row
    among all, and the other way round.
    """
    total = torch.zeros(()).double()
    for x, y in ((first, second), (second, first)):
        for k in range(len(x)):
            cosine = torch.cosine_similarity(x[k : k + 1], y, dim=1) / tau
            total -= torch.log(cosine[k].exp() / cosine.exp().sum())
    return total / (2 * len(first))


def test_equals_the_formula() -> None:
    backbone = plain()
    model = ControlRecAlign(
        backbone,
        12,
        weight=0.3,
        desc_weight=0.5,
        next_weight=2.0,
        temperature=0.4,
    )
    with torch.no_grad():
        user, item = (x.double() for x in backbone(DATA))
        of_user, of_item = (
            model.encoder(DATA[kind].llm_x, 8).double()
            for kind in ('user', 'item')
        )
    u, pos, neg = BATCH
    users = sorted(set(u.tolist()))
    items = sorted(set(pos.tolist()) | set(neg.tolist()))
    desc = both_ways(user[users], of_user[users], 0.4)
    desc = desc + both_ways(item[items], of_item[items], 0.4)
    # Every pair of the batch on its own, repeated ones included.
    near = both_ways(user[u], of_item[pos], 0.4)
    terms = model.loss(DATA, BATCH)[1]
    expected = {'desc': 0.3 * 0.5 * desc, 'next': 0.3 * 2 * near}
    for name, value in expected.items():
        assert torch.allclose(terms[name].double(), value, atol=1e-6)


def test_gradients_equal_the_formula() -> None:
    model = ControlRecAlign(plain(), 12, weight=1.0).double()
    terms = model.loss(DATA, BATCH)
    own = model.model.loss(DATA, BATCH)[0]
    names = [name for name, _ in model.named_parameters()]
    params = list(model.parameters())
    got = torch.autograd.grad(terms[0] - own, params)
    user, item = model.model(DATA)
    of_user, of_item = (
        model.encoder(DATA[kind].llm_x.double(), 8) for kind in ('user', 'item')
    )
    u, i = BATCH[0].unique(), torch.cat(BATCH[1:]).unique()
    expected = torch.autograd.grad(
        both_ways(user[u], of_user[u], 0.2)
        + both_ways(item[i], of_item[i], 0.2)
        + both_ways(user[BATCH[0]], of_item[BATCH[1]], 0.2),
        params,
    )
    for name, a, b in zip(names, got, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-8), name


@pytest.mark.parametrize(
    ('kwargs', 'names'),
    [({'desc_weight': 0}, {'next'}), ({'next_weight': 0}, {'desc'})],
)
def test_one_half(kwargs: dict[str, Any], names: set[str]) -> None:
    full, half = (
        ControlRecAlign(plain(), 12, **options) for options in ({}, kwargs)
    )
    half.load_state_dict(full.state_dict())
    terms, expected = half.loss(DATA, BATCH)[1], full.loss(DATA, BATCH)[1]
    assert set(terms) - {'bpr', 'reg'} == names
    for name in names:
        assert torch.allclose(terms[name], expected[name], atol=1e-6)


def test_width_is_taken_from_the_first_step() -> None:
    data = random_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    sage = to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA)
    model = ControlRecAlign(sage, 12)
    assert {'desc', 'next'} < set(model.loss(data, BATCH)[1])
    assert model.encoder.out_dim == 16


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'temperature': 0.0}, "'temperature'"),
        ({'desc_weight': -1.0}, "'desc_weight'"),
        ({'next_weight': -1.0}, "'next_weight'"),
        ({'desc_weight': 0.0, 'next_weight': 0.0}, 'needs to be positive'),
    ],
)
def test_bad_arguments(kwargs: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ControlRecAlign(LightGCN(3, 3), 12, **kwargs)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_constant_profiles(value: float) -> None:
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].llm_x = torch.full_like(data[kind].llm_x, value)
    loss, _ = ControlRecAlign(plain(), 12).loss(data, BATCH)
    loss.backward()
    assert loss.isfinite()
