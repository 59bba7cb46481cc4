"""No step allocates a matrix of all pairs of nodes, or of batch and nodes."""

import pytest
import torch
from conformance.backbone import BACKBONES
from conformance.graphs import RATES
from torch.profiler import ProfilerActivity, profile
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    DaRecAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.functional import blocks
from pyg_darec.nn.models import LightGCN, SimGCL

NUM_USERS, NUM_ITEMS, NUM_EDGES, LLM_DIM, BATCH = 6000, 5000, 60_000, 64, 2048
# What may grow: tables of embeddings and profiles, messages of all edges in
# the models that have such, and the blocks that similarities come in.
ALLOWED = 4 * max(2 * NUM_EDGES * 33, 2**20 + 64 * NUM_USERS)
PAIRS = 4 * BATCH * NUM_ITEMS


@pytest.fixture(scope='module')
def graph():
    generator = torch.Generator().manual_seed(0)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = NUM_USERS, NUM_ITEMS
    size = torch.tensor([[NUM_USERS], [NUM_ITEMS]])
    pairs = torch.randint(2**62, (2, NUM_EDGES), generator=generator) % size
    data[RATES].edge_index = pairs.unique(dim=1)
    for kind in ('user', 'item'):
        shape = data[kind].num_nodes, LLM_DIM
        data[kind].llm_x = torch.randn(shape, generator=generator)
    return as_graph(data)


def largest_allocation(function):
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True
    ) as prof:
        function()
    sizes = [
        event.nbytes()
        for event in prof.profiler.kineto_results.events()
        if event.name() == '[memory]'
    ]
    return max(sizes)


def step(model, graph):
    user = torch.randint(NUM_USERS, (BATCH,))
    item, other = torch.randint(NUM_ITEMS, (2, BATCH))
    model.renew(graph, 1, 0)

    def train():
        model.loss(graph, (user, item, other))[0].backward()

    train()  # what is computed once and kept
    return train


def test_a_matrix_of_pairs_is_seen():
    x = torch.randn(BATCH, 8)

    def matrix():
        torch.logsumexp(x @ torch.randn(8, NUM_ITEMS), dim=1)

    assert PAIRS > ALLOWED
    assert largest_allocation(matrix) >= PAIRS


ALIGNERS = {
    'DaRec': DaRecAlign,
    'DaRec, paper': lambda model, dim: DaRecAlign(
        model, dim, preset='paper', num_samples=None
    ),
    'RLMRec-Con': RLMRecConAlign,
    'RLMRec-Gen': RLMRecGenAlign,
    'KAR': KARAlign,
    'CTRL': CTRLAlign,
    'ControlRec': ControlRecAlign,
}


@pytest.mark.parametrize('name', ALIGNERS)
def test_aligners(name, graph):
    torch.manual_seed(0)
    model = LightGCN(NUM_USERS, NUM_ITEMS, 32)
    aligner = ALIGNERS[name](model, LLM_DIM)
    assert largest_allocation(step(aligner, graph)) <= ALLOWED


@pytest.mark.parametrize('backbone', BACKBONES, ids=lambda b: b.__name__)
def test_backbones(backbone, graph):
    torch.manual_seed(0)
    model = backbone(NUM_USERS, NUM_ITEMS, 32)
    assert largest_allocation(step(model, graph)) <= ALLOWED


def test_a_step_that_allocates_one_is_seen(graph, monkeypatch):
    monkeypatch.setitem(blocks._BLOCK, 'cpu', 2**40)
    torch.manual_seed(0)
    train = step(SimGCL(NUM_USERS, NUM_ITEMS, 32), graph)
    assert largest_allocation(train) > ALLOWED
