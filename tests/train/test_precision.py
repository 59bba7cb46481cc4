"""Mixed precision against float32, for every backbone and every aligner."""

import pytest
import torch
from conformance.graphs import random_batch, random_data

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn import align, models
from pyg_darec.nn.align import Aligner
from pyg_darec.nn.models import Backbone, LightGCN

DATA = random_data()
CLASSES = [
    cls
    for module, base in ((models, Backbone), (align, Aligner))
    for name in module.__all__
    if isinstance(cls := getattr(module, name), type)
    and issubclass(cls, base)
    and cls is not base
]


def make(cls):
    torch.manual_seed(0)
    if issubclass(cls, Backbone):
        return cls.from_data(DATA, 8)
    return cls(LightGCN.from_data(DATA, 8), llm_dim=12)


@pytest.mark.parametrize('cls', CLASSES)
def test_loss_and_gradients(cls):
    graph, batch, found = as_graph(DATA), random_batch(DATA), []
    for enabled in (False, True):
        model = make(cls).train()
        model.renew(graph, 1, 0)
        with torch.no_grad():
            model.loss(graph, batch)  # sets widths that are open
        torch.manual_seed(1)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            loss, _ = model.loss(graph, batch)
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(grad.dtype == torch.float32 for grad in grads)
        flat = torch.cat([grad.flatten() for grad in grads])
        found.append((loss.detach().float(), flat))
    (loss, grad), (low_loss, low_grad) = found
    torch.testing.assert_close(low_loss, loss, rtol=0.01, atol=0.0)
    assert torch.cosine_similarity(low_grad, grad, dim=0) > 0.99


@pytest.mark.parametrize('cls', CLASSES)
def test_epoch(cls):
    losses = []
    for precision in (None, 'bf16-mixed'):
        model = make(cls)
        kwargs = {'precision': precision, 'device': 'cpu', 'progress': False}
        result = fit(model, DATA, 2, batch_size=40, lr=0.01, **kwargs)
        losses.append([row['loss'] for row in result.history])
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
