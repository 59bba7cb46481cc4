"""The plain versions compute what the aligners of the library do."""

from typing import Any

import pytest
import torch
from ours import PAPER
from plain_alignments import PLAIN_ALIGN, kmeans_centers, match
from plain_models import PlainGraph

from pyg_darec import DaRecAlign
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import RLMRecConAlign, RLMRecGenAlign
from pyg_darec.nn.models import LightGCN

NUM, LLM_DIM = 12, 10
CASES: dict[str, Any] = {
    'RLMRec-Con': lambda model: RLMRecConAlign(model, LLM_DIM),
    'RLMRec-Gen': lambda model: RLMRecGenAlign(model, LLM_DIM, mask_ratio=0.4),
    'DaRec': lambda model: DaRecAlign(
        model, LLM_DIM, **{**PAPER, 'num_samples': None, 'num_clusters': 2}
    ),
    'DaRec sample': lambda model: DaRecAlign(
        model, LLM_DIM, **{**PAPER, 'num_samples': 17, 'num_clusters': 2}
    ),
}


@pytest.fixture
def graph() -> BipartiteGraph:
    """Two blocks that any k-means tells from one another."""
    torch.manual_seed(0)
    block = torch.arange(NUM // 2)
    pairs = torch.cartesian_prod(block, block).t()
    center = torch.randn(2, LLM_DIM).repeat_interleave(NUM // 2, dim=0)
    llm_x = {
        kind: center + 0.01 * torch.randn(NUM, LLM_DIM)
        for kind in ('user', 'item')
    }
    pairs = torch.cat([pairs, pairs + NUM // 2], dim=1)
    return BipartiteGraph(pairs, NUM, NUM, llm_x)


def build(name: str, graph: BipartiteGraph) -> Any:
    backbone = LightGCN.from_data(graph, 6, edge_dropout=0.0, reg_weight=1e-2)
    model = CASES[name](backbone)
    with torch.no_grad():
        for table in (backbone.user_embedding, backbone.item_embedding):
            center = torch.randn(2, 6).repeat_interleave(NUM // 2, dim=0)
            table.weight.copy_(center + 0.01 * torch.randn(NUM, 6))
        if name == 'RLMRec-Gen':
            model.mask_token.normal_()
    return model


@pytest.mark.parametrize('name', CASES)
def test_same_loss_and_gradients(name: str, graph: BipartiteGraph) -> None:
    torch.manual_seed(0)
    model = build(name, graph)
    plain = PLAIN_ALIGN[name.removesuffix(' sample')](model, PlainGraph(graph))
    batch = tuple(torch.randint(NUM, (30,)) for _ in range(3))
    values, grads = [], []
    for loss in (lambda: model.loss(graph, batch)[0], lambda: plain(batch)):
        torch.manual_seed(1)  # the same nodes are drawn
        value = loss()
        parameters = dict(model.named_parameters())
        values.append(value.detach())
        grads.append(torch.autograd.grad(value, list(parameters.values())))
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    for name, a, b in zip(parameters, *grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


def test_alignment_is_part_of_the_loss(graph: BipartiteGraph) -> None:
    """What the equality above is about: each changes the loss."""
    torch.manual_seed(0)
    batch = tuple(torch.randint(NUM, (30,)) for _ in range(3))
    for name in CASES:
        model = build(name, graph)
        gap = model.loss(graph, batch)[0] - model.model.loss(graph, batch)[0]
        assert abs(float(gap)) > 1e-3


def test_kmeans_and_matching() -> None:
    center = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = (center[:, None] + 0.1 * torch.randn(3, 8, 2)).flatten(0, 1)
    found = kmeans_centers(x, 3, 5)
    means = x.view(3, 8, 2).mean(dim=1)
    near = match(means, found)
    assert sorted(near) == [0, 1, 2]
    torch.testing.assert_close(found[near], means)
