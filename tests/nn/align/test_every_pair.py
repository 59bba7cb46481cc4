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
