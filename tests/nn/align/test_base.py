from typing import Any

import torch
from conformance.graphs import random_batch, random_data

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import Aligner
from pyg_darec.nn.models import LightGCN


class Plain(Aligner):
    """Adds nothing."""


class Listening(LightGCN):
    """Notes what it is asked."""

    asked: tuple[Any, ...] = ()

    def renew(self, graph: Any, epoch: int, step: int) -> None:
        self.asked = graph, epoch, step

    def is_ready(self, epoch: int) -> bool:
        return epoch > 2


def test_without_terms_it_is_its_model() -> None:
    data, batch = random_data(), random_batch(random_data())
    inner = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = Plain(inner, 12, weight=1.0)
    assert model.loss(data, batch) == inner.loss(data, batch)
    for found, own in zip(model(data), inner(data), strict=True):
        assert torch.equal(found, own)
    assert (model.in_dim, model.out_dim) == (inner.in_dim, inner.out_dim)
    names = model.embedding_names()
    assert [model.get_parameter(name) for name in names] == [
        inner.get_parameter(name) for name in inner.embedding_names()
    ]


def test_its_model_hears_of_epochs() -> None:
    data = random_data()
    inner = Listening.from_data(data, 8)
    model = Plain(Plain(inner, 12, weight=1.0), 12, weight=1.0)
    graph = as_graph(data)
    assert not model.is_ready(2)
    assert model.is_ready(3)
    model.renew(graph, 3, 1)
    assert inner.asked == (graph, 3, 1)
