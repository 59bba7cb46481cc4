import warnings
from typing import Any

import pytest
import torch
from conformance.graphs import random_batch, random_data, telling_data
from torch import Tensor

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.align import (
    Aligner,
    DaRecAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.functional import bpr_loss
from pyg_darec.nn.models import DCCF, NCL, LightGCL, LightGCN, SimGCL
from pyg_darec.nn.recommender import Step


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


class Extended(SimGCL):
    """A term of its own beside those of the backbone."""

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        out = super().step(graph, batch)
        terms = {**out.terms, 'extra': out.item.square().mean()}
        return Step(terms, out.user, out.item)


def test_terms_of_a_step_are_kept() -> None:
    data = telling_data()
    alone = Extended.from_data(data, 8)
    names = set(alone.loss(data, random_batch(data))[1])
    assert {'bpr', 'ssl', 'extra'} <= names
    for align in (DaRecAlign, RLMRecConAlign):
        terms = align(alone, 12).loss(data, random_batch(data))[1]
        assert names <= set(terms)


class OwnLoss(LightGCN):
    def loss(self, data, batch):  # type: ignore[no-untyped-def]
        return super().loss(data, batch)


class OwnForward(LightGCN):
    def forward(self, data):  # type: ignore[no-untyped-def]
        return super().forward(data)


@pytest.mark.parametrize(
    ('cls', 'name'), [(OwnLoss, 'loss'), (OwnForward, 'forward')]
)
def test_overrides_that_aligners_do_not_call(cls: Any, name: str) -> None:
    model = cls.from_data(telling_data(), 8)
    with pytest.warns(UserWarning, match=rf"do not call \['{name}'\]"):
        DaRecAlign(model, 12)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        RLMRecConAlign(
            DaRecAlign(LightGCN.from_data(telling_data(), 8), 12), 12
        )


def test_its_model_may_be_assigned_again() -> None:
    model = DaRecAlign(LightGCN.from_data(telling_data(), 8), 12)
    model.model = model.model.to('cpu')
    with pytest.raises(AttributeError, match='the one it was made for'):
        model.model = LightGCN.from_data(telling_data(), 8)


def test_narrow_indices() -> None:
    data = telling_data()
    batch = tuple(x.int() for x in random_batch(data))
    for align in (DaRecAlign, KARAlign, RLMRecGenAlign):
        model = align(LightGCN.from_data(data, 8), 12)
        assert model.loss(data, batch)[0].isfinite()


def test_penalty_of_nothing() -> None:
    data = telling_data()
    model = DaRecAlign(
        LightGCN.from_data(data, 8),
        12,
        profile_weight=0,
        neighbor_weight=0,
        reg_weight=0.1,
    )
    assert 'align_reg' not in model.loss(data, random_batch(data))[1]


@pytest.mark.parametrize('cls', [NCL, LightGCL, DCCF])
def test_what_is_trained_is_what_is_scored(cls: Any) -> None:
    class Longer(cls):  # type: ignore[misc]
        def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
            user, item = super().encode(graph)
            return 10 * user, 10 * item

    data = telling_data()
    batch = random_batch(data)
    model = Longer.from_data(data, 8).eval()
    terms = model.loss(data, batch)[1]
    expected = bpr_loss(*model(data), batch)
    torch.testing.assert_close(terms['bpr'], expected)
    assert 'ssl' in terms or len(terms) > 2


def test_negative_indices() -> None:
    data = telling_data()
    for place in range(3):
        batch = [x.clone() for x in random_batch(data)]
        batch[place][3] = -1
        with pytest.raises(ValueError, match=r'at least 0.*got -1'):
            LightGCN.from_data(data, 8).loss(data, tuple(batch))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bool])
def test_what_is_no_index(dtype: torch.dtype) -> None:
    data = telling_data()
    batch = tuple(x.to(dtype) for x in random_batch(data))
    with pytest.raises(ValueError, match="'batch' needs tensors of indices"):
        LightGCN.from_data(data, 8).loss(data, batch)


class Penalised(LightGCN):
    """Names its own term as others are named."""

    name = 'reg'

    def auxiliary(self, graph: Any, batch: Any) -> dict[str, Tensor]:
        return {self.name: torch.tensor(5.0)}


class Rewarded(Penalised):
    name = 'bpr'


class Pulling(Aligner):
    name = 'reg'

    def align(self, *args: Any) -> dict[str, Tensor]:
        return {self.name: torch.tensor(3.0)}


class PullingHarder(Pulling):
    name = 'bpr'


@pytest.mark.parametrize('cls', [Penalised, Rewarded])
@pytest.mark.parametrize('around', [Pulling, PullingHarder])
def test_terms_of_one_name_add_up(cls: Any, around: Any) -> None:
    data = telling_data()
    batch = random_batch(data)
    torch.manual_seed(0)
    plain = LightGCN.from_data(data, 8, edge_dropout=0.0)
    alone = cls.from_data(data, 8, edge_dropout=0.0)
    alone.load_state_dict(plain.state_dict())
    base = plain.loss(data, batch)[0]
    assert_close = torch.testing.assert_close
    assert_close(alone.loss(data, batch)[0], base + 5)
    model = around(alone, 12, weight=1.0)
    assert_close(model.loss(data, batch)[0], base + 8)
    # The objective is that of other embeddings there, and so not the same.
    for align in (DaRecAlign, KARAlign):
        parts = align(alone, 12).loss(data, batch)[1]
        alone.name, name = 'mine', alone.name
        apart = align(alone, 12).loss(data, batch)[1]
        alone.name = name
        assert_close(sum(parts.values()), sum(apart.values()), atol=1, rtol=0)


class Deep(Aligner):
    """A part that has no 'reset_parameters' of its own."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, 12, weight=1.0)
        layers = torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
        self.layers = torch.nn.Sequential(*layers)


class Bare(Aligner):
    def __init__(self, model: Any) -> None:
        super().__init__(model, 12, weight=1.0)
        self.token = torch.nn.Parameter(torch.ones(3))


class Resetting(Bare):
    def reset_parameters(self) -> None:
        super().reset_parameters()
        torch.nn.init.zeros_(self.token)


def test_parts_are_reset() -> None:
    inner = LightGCN.from_data(telling_data(), 8)
    model = Deep(inner)
    before = {k: x.clone() for k, x in model.state_dict().items()}
    model.reset_parameters()
    for name, x in model.state_dict().items():
        assert not torch.equal(x, before[name])
    with pytest.raises(TypeError, match=r"'Bare'.*\['token'\]"):
        Bare(inner).reset_parameters()
    resetting = Resetting(inner)
    resetting.reset_parameters()
    assert not resetting.token.any()


@pytest.mark.parametrize('cls', [NCL, LightGCL, SimGCL, DCCF])
def test_nothing_to_add_leaves_the_model_alone(cls: Any) -> None:
    """Its contrast as well, which sees the graph that is scored."""
    data = random_data()  # profiles of noise
    torch.manual_seed(0)
    alone = cls.from_data(data, 8)
    aligned = DaRecAlign(cls.from_data(data, 8), 12)
    aligned.model.load_state_dict(alone.state_dict())
    losses = []
    for model in (aligned, alone):
        graph = as_graph(data)
        model.train()
        model.renew(graph, 1, 0)
        torch.manual_seed(1)
        model.renew(graph, 1, 0)
        losses.append(model.loss(graph, random_batch(data)))
    assert aligned.injection is not None
    assert not aligned.injection.adds
    assert losses[0] == losses[1]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_dtype_of_what_is_scored(dtype: torch.dtype) -> None:
    """That of the model, where profiles are added to its output, too."""
    data = telling_data()
    given = torch.randn(30, 8, dtype=dtype), torch.randn(20, 8, dtype=dtype)
    model = torch.nn.Linear(8, 8, dtype=dtype)
    aligned = DaRecAlign(
        model, 12, embed=lambda m, data: (m(given[0]), m(given[1]))
    )
    for x in aligned(data):
        assert x.dtype == dtype
    assert aligned.injection is not None
    assert aligned.injection.adds


def test_batch_of_lists() -> None:
    data = telling_data()
    with pytest.raises(ValueError, match=r"'batch' .*\['list', "):
        LightGCN.from_data(data, 8).loss(data, ([0], [1], [2]))  # type: ignore[arg-type]
