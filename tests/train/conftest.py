"""A tiny model and graph. Subprocesses run this file with 'runpy'."""

from types import SimpleNamespace

import pytest
import torch

from pyg_darec.graph import BipartiteGraph


class BPR(torch.nn.Module):
    """Matrix factorisation whose dropout draws from the global generator."""

    def __init__(self, num_users=40, num_items=60, dim=8, dropout=0.1):
        super().__init__()
        self.user = torch.nn.Embedding(num_users, dim)
        self.item = torch.nn.Embedding(num_items, dim)
        self.dropout = torch.nn.Dropout(dropout)
        for embedding in (self.user, self.item):
            torch.nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, data):
        return self.user.weight, self.item.weight

    def loss(self, data, batch):
        user, pos, neg = batch
        u = self.dropout(self.user(user))
        score = u * (self.item(pos) - self.item(neg))
        bpr = -torch.nn.functional.logsigmoid(score.sum(-1)).mean()
        reg = 1e-4 * sum(p.square().sum() for p in self.parameters())
        return bpr + reg, {'bpr': bpr.detach(), 'reg': reg.detach()}


def make_graph(num_users=40, num_items=60, seed=0, val=True):
    """Users like items of their own half, mostly."""
    generator = torch.Generator().manual_seed(seed)
    prob = torch.full((num_users, num_items), 0.02)
    prob[: num_users // 2, : num_items // 2] = 0.4
    prob[num_users // 2 :, num_items // 2 :] = 0.4
    edge_index = torch.bernoulli(prob, generator=generator).nonzero().t()
    is_val = torch.rand(edge_index.size(1), generator=generator) < 0.2
    return BipartiteGraph(
        edge_index[:, ~is_val],
        num_users,
        num_items,
        edge_label_index={'val': edge_index[:, is_val]} if val else {},
    )


def make_model(seed=0, **kwargs):
    torch.manual_seed(seed)
    return BPR(**kwargs)


def without_time(history):
    return [{k: v for k, v in row.items() if k != 'seconds'} for row in history]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they save on tensors this small."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def graph():
    return make_graph()


@pytest.fixture
def model():
    return make_model()


@pytest.fixture
def tiny():
    """The functions of this file, for tests that need several models."""

    return SimpleNamespace(
        graph=make_graph, model=make_model, without_time=without_time
    )
