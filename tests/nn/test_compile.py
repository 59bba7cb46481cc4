"""Compiled losses are the losses."""

import copy

import pytest
import torch
from conformance.graphs import random_batch, random_data, telling_data

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import DaRecAlign, RLMRecConAlign, RLMRecGenAlign
from pyg_darec.nn.models import LightGCN

DATA = random_data()
GRAPH = as_graph(DATA)


def lightgcn():
    torch.manual_seed(0)
    return LightGCN.from_data(DATA, 8, num_layers=2)


@pytest.fixture(
    params=[
        lightgcn,
        lambda: DaRecAlign(lightgcn(), 12),
        # The random start of k-means depends on the kernels.
        lambda: DaRecAlign(lightgcn(), 12, preset='paper', loc_weight=0),
        lambda: DaRecAlign(
            *(lightgcn(), 12), preset='paper', loc_weight=0, num_samples=20
        ),
        lambda: RLMRecConAlign(lightgcn(), 12),
        lambda: RLMRecGenAlign(lightgcn(), 12),
    ],
    ids=[
        'LightGCN',
        'DaRecAlign',
        'paper',
        'sampled paper',
        'RLMRecConAlign',
        'RLMRecGenAlign',
    ],
)
def model(request):
    torch.compiler.reset()
    model = request.param().train()
    model.renew(GRAPH, 1, 0)
    model.loss(GRAPH, random_batch(DATA))  # sets widths that are open
    yield model
    torch.compiler.reset()


def step(loss, model, batch):
    """The loss, its terms and all gradients."""
    model.zero_grad()
    torch.manual_seed(1)
    value, terms = loss(GRAPH, batch)
    value.backward()
    grads = {name: param.grad for name, param in model.named_parameters()}
    return {'loss': value.detach(), **terms}, grads


def test_one_graph(model):
    """Traced in one piece; run by eager kernels, so that random numbers are
    those of an eager run.
    """
    compiled = torch.compile(model.loss, backend='aot_eager', fullgraph=True)
    batch = random_batch(DATA)
    expected = step(model.loss, model, batch)
    found = step(compiled, model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_copies_hold_no_profiles():
    model = DaRecAlign(lightgcn(), 12).eval()
    model.renew(GRAPH, 1, 0)
    other = copy.deepcopy(model)
    assert other.injection._prepared is None
    for got, expected in zip(other(GRAPH), model(GRAPH), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize('convert', [as_graph, lambda data: data])
def test_compiled_as_a_whole(convert):
    """Without training, and for one graph after another."""
    first, second = (telling_data(seed=seed) for seed in (0, 1))
    model = DaRecAlign(LightGCN.from_data(first, 8), 12).eval()
    compiled = torch.compile(model, backend='eager')
    for data in (first, second, first):
        graph = convert(data)
        for x, y in zip(compiled(graph), model(graph), strict=True):
            torch.testing.assert_close(x, y)


def test_weights_that_come_later_are_told():
    """What was found in profiles before may not be theirs."""
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8, edge_dropout=0.0), 12)
    model(data)
    compiled = torch.compile(model.loss, backend='eager', fullgraph=True)
    graph, batch = as_graph(data), random_batch(data)
    expected = compiled(graph, batch)[0]
    for change in (
        model.reset_parameters,
        lambda: model.load_state_dict(model.state_dict()),
    ):
        state = copy.deepcopy(model.state_dict())
        change()
        with pytest.raises(RuntimeError, match='uncompiled once'):
            compiled(graph, batch)
        model.load_state_dict(state)
        model(data)
        assert torch.allclose(compiled(graph, batch)[0], expected)
