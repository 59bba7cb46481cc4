import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency
from conformance.graphs import random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import bpr_loss
from pyg_darec.nn.models.dccf import DCCF

TAU, W = 0.3, 0.7


class TestConformance(BackboneConformance):
    expected_repr = (
        'DCCF(30, 20, 8, num_layers=2, ssl_weight=0.0001, temperature=0.1)'
    )

    def make(self, data: HeteroData) -> DCCF:
        return DCCF.from_data(data, 8, ssl_weight=1e-4)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.cosine_similarity(a[:, None], b[None], dim=-1)


def dense(
    model: DCCF, graph: BipartiteGraph, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Embeddings of users, then of items; and the contrast."""
    num = model.num_users
    adj = adjacency(graph)
    nodes = [batch[0].unique(), num + batch[1].unique()]
    x = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    out, contrast = x, x.new_zeros(())
    for _ in range(model.num_layers):
        near = adj @ x
        intent = torch.cat(
            [
                torch.softmax(part @ table, dim=1) @ table.t()
                for part, table in (
                    (x[:num], model.user_intent),
                    (x[num:], model.item_intent),
                )
            ]
        )
        views = [near, intent]
        for view in (near, intent):
            alpha = (adj > 0) * (1 + cosine(view, view)) / 2
            total = alpha.sum(dim=1, keepdim=True)
            views.append(alpha / torch.where(total > 0, total, 1.0) @ x)
        for view in views[1:]:
            for index in nodes:
                logit = cosine(near[index], view[index]) / TAU
                ratio = logit.softmax(dim=1).diagonal()
                contrast = contrast - ratio.log().sum() / len(nodes[0])
        x = x + near + intent + views[2] + views[3]
        out = out + x
    return out, contrast


@pytest.mark.parametrize('num_layers', [0, 1, 3])
def test_equals_the_formula(num_layers: int) -> None:
    torch.manual_seed(0)
    data = random_data()
    graph, batch = as_graph(data), random_batch(data, 80)
    model = DCCF.from_data(
        data,
        8,
        num_layers=num_layers,
        num_intents=5,
        ssl_weight=W,
        temperature=TAU,
    ).double()
    out, contrast = dense(model, graph, batch)
    assert torch.allclose(torch.cat(model(data)), out, atol=1e-6)
    loss, terms = model.loss(data, batch)
    bpr = bpr_loss(*out.split([30, 20]), batch)
    assert torch.allclose(terms['bpr'], bpr, atol=1e-6)
    assert torch.allclose(terms['ssl'], W * contrast, atol=1e-6)

    penalty = sum(p.square().sum() for p in model.parameters())
    assert torch.allclose(terms['reg'], 1e-4 * penalty)
    expected = bpr + W * contrast + 1e-4 * penalty
    parameters = list(model.parameters())
    for got, want in zip(
        torch.autograd.grad(loss, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        assert torch.allclose(got, want, atol=1e-6)


def test_step_yields_what_is_scored() -> None:
    data = random_data()
    model = DCCF.from_data(data, 8)
    step = model.step(as_graph(data), random_batch(data))
    assert torch.equal(step.user, model(data)[0])
    assert torch.equal(step.item, model(data)[1])


def test_opposite_ends_have_no_weight() -> None:
    graph = BipartiteGraph(torch.tensor([[0, 0, 1], [0, 1, 1]]), 2, 2)
    model = DCCF(2, 2, 1, num_layers=1).double()
    for parameter, sign in (
        (model.user_embedding.weight, 1.0),
        (model.user_intent, 1.0),
        (model.item_embedding.weight, -1.0),
        (model.item_intent, -1.0),
    ):
        torch.nn.init.constant_(parameter, sign)
    (near, _, *adapted), *_ = model.propagate(graph)[1]
    assert (near[0] < 0).all()
    assert (near[1] > 0).all()
    for view in (*adapted[0], *adapted[1]):
        assert (view == 0).all()
    index = torch.tensor([0, 1])
    model.loss(graph, (index, index, index))[0].backward()
    for parameter in model.parameters():
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    'kwargs', [{'num_intents': 0}, {'ssl_weight': -1.0}, {'temperature': 0.0}]
)
def test_bad_arguments(kwargs: dict) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'"):
        DCCF(3, 3, **kwargs)
