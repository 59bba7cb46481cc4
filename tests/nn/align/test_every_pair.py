"""Every aligner on every backbone trains and improves its loss."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conformance.backbone import BACKBONES
from conformance.graphs import random_batch, random_data

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    DaRecAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.models import LightGCN

ALIGNERS = [
    DaRecAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
    KARAlign,
    ControlRecAlign,
    lambda model, llm_dim: CTRLAlign(model, llm_dim, stage='joint'),
]


@pytest.mark.parametrize('align', ALIGNERS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_trains(backbone: Any, align: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    data = random_data()
    model = align(backbone.from_data(data, 8), llm_dim=12)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    batch = random_batch(data)
    losses = []
    # After the warm-up that a backbone may have.
    model.renew(as_graph(data), 100, 0)
    for _ in range(40):
        loss, _ = model.loss(data, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < sum(losses[:5])
    for name, param in model.named_parameters():
        assert param.grad is not None, name


@pytest.mark.parametrize('score', ['shared', 'both'])
@pytest.mark.parametrize('align', ALIGNERS)
def test_around_parts(align: Callable[..., Any], score: Any) -> None:
    """What is trained is what is scored, of whatever width."""
    torch.manual_seed(0)
    data, batch = random_data(), random_batch(random_data())
    inner = DaRecAlign(
        LightGCN.from_data(data, 8), 12, preset='paper', dim=6, score=score
    )
    model = align(inner, llm_dim=12)
    model.loss(data, batch)[0].backward()
    assert inner.structure is not None
    for name, param in inner.structure.cf_shared.named_parameters():
        assert param.grad is not None, name
    model.eval()
    graph = as_graph(data)
    with torch.no_grad():
        out = model.step(graph, batch)
        is_masked = isinstance(model, RLMRecGenAlign)  # in a step
        for x, y in zip(out[1:], model.encode(graph), strict=True):
            assert x.shape == y.shape
            assert is_masked or torch.equal(x, y)
        assert out.user.size(1) == model.out_dim


def test_parts_are_not_scored_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = random_data()
    backbone = LightGCN.from_data(data, 8)
    model = DaRecAlign(backbone, 12, preset='paper', score='both')
    monkeypatch.setattr(model, 'scored', None)
    model.loss(data, random_batch(data))


@pytest.mark.parametrize('align', [lambda model, llm_dim: model, *ALIGNERS])
@pytest.mark.parametrize('backbone', BACKBONES)
def test_terms_of_a_subclass_are_in_the_loss(
    backbone: Any, align: Callable[..., Any]
) -> None:
    class WithMore(backbone):
        def auxiliary(self, graph: Any, batch: Any) -> dict[str, torch.Tensor]:
            own = super().auxiliary(graph, batch)
            return {**own, 'more': self.user_embedding.weight.square().sum()}

    data = random_data()
    terms = []
    for cls in (backbone, WithMore):
        model = align(cls.from_data(data, 8), llm_dim=12).train()
        model.renew(as_graph(data), 1, 0)
        terms.append(model.loss(data, random_batch(data))[1].keys())
    assert terms[1] == terms[0] | {'more'}
