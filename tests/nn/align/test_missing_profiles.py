"""Nodes without a profile have nothing to be aligned with."""

import copy

import pytest
import torch
from conformance.graphs import RATES, random_batch, random_data
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import KINDS
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    DaRecAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.align import rlmrec_gen as rlmrec_gen_module
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.models import LightGCN

# Of 30 users and 20 items.
WITHOUT = {'user': [2, 3, 11, 29], 'item': [0, 7, 8]}


def paper(model: Module, llm_dim: int) -> DaRecAlign:
    return DaRecAlign(model, llm_dim, preset='paper', num_samples=None)


def described(model: Module, llm_dim: int) -> ControlRecAlign:
    """Without the task that asks for profiles of items alone."""
    return ControlRecAlign(model, llm_dim, next_weight=0.0)


ALIGNERS = [RLMRecConAlign, CTRLAlign, described, ControlRecAlign, paper]


def some_data(without: dict[str, list[int]] = WITHOUT) -> HeteroData:
    data = random_data()
    for kind, nodes in without.items():
        data[kind].llm_x[nodes] = 0
    return data


def embeddings(data: HeteroData) -> tuple[Tensor, Tensor]:
    """Of nowhere, the same at every call."""
    generator = torch.Generator().manual_seed(3)
    sizes = [data[kind].num_nodes for kind in KINDS]
    user, item = (torch.randn(n, 8, generator=generator) for n in sizes)
    return user.requires_grad_(), item.requires_grad_()


def with_profiles_only(
    data: HeteroData,
) -> tuple[HeteroData, dict[str, Tensor]]:
    """The data without nodes that have no profile, and the new numbers."""
    out, number = HeteroData(), {}
    for kind in KINDS:
        has = data[kind].llm_x.any(dim=1)
        number[kind] = torch.where(has, has.cumsum(0) - 1, -1)
        out[kind].num_nodes = int(has.sum())
        out[kind].llm_x = data[kind].llm_x[has]
    user, item = data[RATES].edge_index
    pairs = torch.stack([number['user'][user], number['item'][item]])
    out[RATES].edge_index = pairs[:, (pairs >= 0).all(dim=0)]
    return out, number


@pytest.mark.parametrize('make', ALIGNERS)
def test_nothing_reaches_them(make: type[Aligner]) -> None:
    data = some_data()
    batch = random_batch(data)
    aligner = make(LightGCN.from_data(data, 8), 12)
    user, item = embeddings(data)
    terms = aligner.align(as_graph(data), batch, user, item)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    for kind, x, used in zip(
        KINDS, (user, item), (batch[0], torch.cat(batch[1:])), strict=True
    ):
        assert x.grad is not None
        assert set(WITHOUT[kind]) & set(used.tolist())
        moved = set(x.grad.any(dim=1).nonzero().view(-1).tolist())
        assert moved
        if make is ControlRecAlign and kind == 'user':
            continue
        assert not moved & set(WITHOUT[kind])


@pytest.mark.parametrize('make', ALIGNERS)
def test_is_the_alignment_of_the_others(make: type[Aligner]) -> None:
    """As if those without a profile were not there, in data and batch."""
    data = some_data()
    rest, number = with_profiles_only(data)
    kinds = 'user', 'item', 'item'
    batch = random_batch(data, 200)
    has = torch.stack(
        [number[k][x] >= 0 for k, x in zip(kinds, batch, strict=True)]
    )
    user, pos, neg = (x[has.all(dim=0)] for x in batch)
    aligner = make(LightGCN.from_data(data, 8), 12)
    pair = embeddings(data)
    new = number['user'][user], number['item'][pos], number['item'][neg]
    some = [
        x[data[kind].llm_x.any(dim=1)]
        for kind, x in zip(KINDS, pair, strict=True)
    ]
    torch.manual_seed(5)  # k-means of the literal form starts anywhere
    expected = aligner.align(as_graph(rest), new, some[0], some[1])
    torch.manual_seed(5)
    got = aligner.align(as_graph(data), (user, pos, neg), *pair)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value)


@pytest.mark.parametrize(
    'make', [*ALIGNERS, RLMRecGenAlign, KARAlign], ids=lambda x: x.__name__
)
@pytest.mark.parametrize('kind', KINDS)
def test_batch_of_them_alone(make: type[Aligner], kind: str) -> None:
    data = some_data()
    batch = random_batch(data)
    parts = list(batch)
    for n in (0,) if kind == 'user' else (1, 2):
        nodes = torch.tensor(WITHOUT[kind])
        parts[n] = nodes[parts[n] % nodes.numel()]
    aligner = make(LightGCN.from_data(data, 8), 12)
    loss, terms = aligner.loss(data, (parts[0], parts[1], parts[2]))
    loss.backward()
    assert all(x.isfinite() for x in terms.values())
    for parameter in aligner.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


@pytest.mark.parametrize('num_items_with', [0, 1])
def test_reconstructs_profiles_that_are_there(
    num_items_with: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def info_nce(x: Tensor, profile: Tensor, *rest: object) -> Tensor:
        seen.append(profile)
        return x.sum()

    monkeypatch.setattr(rlmrec_gen_module, 'info_nce', info_nce)
    items = list(range(num_items_with, 20))
    data = some_data({'user': WITHOUT['user'], 'item': items})
    model = RLMRecGenAlign(LightGCN.from_data(data, 8), 12, mask_ratio=1.0)
    model.loss(data, random_batch(data))
    assert seen[0].shape == (26 + num_items_with, 12)
    assert seen[0].any(dim=1).all()


@pytest.mark.parametrize('combine', ['concat', 'sum'])
def test_nothing_is_added_to_them(combine: str) -> None:
    data = some_data()
    backbone = LightGCN.from_data(data, 8)
    model = KARAlign(backbone, 12, combine=combine).eval()  # type: ignore[arg-type]
    for kind, x, alone in zip(KINDS, model(data), backbone(data), strict=True):
        added = x[:, 8:] if combine == 'concat' else x - alone
        known = data[kind].llm_x.any(dim=1)
        assert not added[~known].any()
        assert added[known].any(dim=1).all()
    # The rows of a batch are the same as those of all.
    loss = model.loss(data, random_batch(data))[0]
    model._is_outermost = False
    whole = model.loss_terms(as_graph(data), random_batch(data))
    torch.testing.assert_close(loss, torch.stack([*whole.values()]).sum())


def test_profiles_that_change() -> None:
    graph = as_graph(some_data())
    known = graph.profiled('user')
    assert known is not None
    assert known is graph.profiled('user')
    assert (~known.mask).nonzero().view(-1).tolist() == WITHOUT['user']
    graph.llm_x['user'][0] = 0
    known = graph.profiled('user')
    assert known is not None
    assert not known.mask[0]
    assert known.nodes.tolist() == known.host_nodes.tolist()
    assert 0 not in known.nodes
    graph.llm_x['user'] = torch.ones(30, 12)
    assert graph.profiled('user') is None
    graph.llm_x['user'] = torch.zeros(30, 12)
    known = graph.profiled('user')
    assert known is not None
    assert not known.mask.any()
    del graph.llm_x['user']
    assert graph.profiled('user') is None
    again = copy.deepcopy(graph).profiled('item')
    assert again is not None
    assert again.nodes.numel() == 17


@pytest.mark.parametrize(
    'make', [*ALIGNERS, RLMRecGenAlign, KARAlign], ids=lambda x: x.__name__
)
@pytest.mark.parametrize('kinds', [['user'], ['item'], KINDS])
def test_nobody_has_one(make: type[Aligner], kinds: list[str]) -> None:
    data = random_data()
    for kind in kinds:
        data[kind].llm_x.zero_()
    aligner = make(LightGCN.from_data(data, 8), 12)
    loss, terms = aligner.loss(data, random_batch(data))
    loss.backward()
    assert all(x.isfinite() for x in terms.values())
    for parameter in aligner.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
