"""Where profiles go in models that were not written for this library."""

import copy
import pickle
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from conformance.graphs import METADATA, RATES, random_batch, telling_data
from torch import Tensor
from torch.nn import Embedding, Linear, Module, ModuleDict
from torch.nn.utils.parametrizations import weight_norm
from torch_geometric.data import HeteroData
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.functional import bpr_loss
from pyg_darec.nn.models import LightGCN
from pyg_darec.nn.objectives import BPR

USERS, ITEMS = 30, 20


def data_with_features() -> HeteroData:
    data = telling_data()
    data['user'].x, data['item'].x = (
        torch.randn(USERS, 7),
        torch.randn(ITEMS, 9),
    )
    return data


class Tower(Module):
    """On features; subclasses add tables."""

    def __init__(self) -> None:
        super().__init__()
        self.user_map, self.item_map = Linear(7, 8), Linear(9, 8)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user_map(data['user'].x), self.item_map(data['item'].x)


class NarrowUsers(Tower):
    def __init__(self) -> None:
        super().__init__()
        self.user = Embedding(USERS, 4)
        self.user_map = Linear(4, 8)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user_map(self.user.weight), self.item_map(data['item'].x)


class TwoWidths(NarrowUsers):
    def __init__(self) -> None:
        super().__init__()
        self.item = Embedding(ITEMS, 9)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user_map(self.user.weight), self.item_map(self.item.weight)


class Categories(Tower):
    def __init__(self) -> None:
        super().__init__()
        self.category = Embedding(5, 4)
        self.item_map = Linear(13, 8)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        category = self.category(torch.arange(ITEMS) % 5)
        item = torch.cat([data['item'].x, category], dim=1)
        return self.user_map(data['user'].x), self.item_map(item)


class Padded(Module):
    """One row more than there are users and items, and wider outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.user = Embedding(USERS + 1, 4, padding_idx=0)
        self.item = Embedding(ITEMS + 1, 4, padding_idx=0)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        user, item = self.user.weight[1:], self.item.weight[1:]
        return torch.cat([user, user], 1), torch.cat([item, item.tanh()], 1)


class Biased(Tower):
    def __init__(self) -> None:
        super().__init__()
        self.user_bias, self.item_bias = (
            Embedding(USERS, 1),
            Embedding(ITEMS, 1),
        )


class Normed(Module):
    def __init__(self) -> None:
        super().__init__()
        self.user = weight_norm(Embedding(USERS, 8))
        self.item = weight_norm(Embedding(ITEMS, 8))

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item.weight


class Tables(Module):
    """Items before users, as nothing forbids."""

    def __init__(self, num_users: int = USERS, **kwargs: Any) -> None:
        super().__init__()
        self.items = Embedding(ITEMS, 8, **kwargs)
        self.users = Embedding(num_users, 8, **kwargs)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        user = torch.arange(self.users.num_embeddings)
        return self.users(user), self.items(torch.arange(ITEMS))


class Wide(Tables):
    """What its tables hold is concatenated with what it meets."""

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        user, item = super().forward(data)
        other = as_graph(data).propagate(user, item)
        pair = zip((user, item), other, strict=True)
        user, item = (torch.cat(parts, dim=1) for parts in pair)
        return user, item


class Tied(Module):
    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = Embedding(USERS, 8), Embedding(USERS, 8)
        self.item.weight = self.user.weight

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item.weight[:ITEMS]


def sage() -> Module:
    return to_hetero(GraphSAGE((-1, -1), 8, num_layers=2), METADATA)


OTHER = [
    NarrowUsers,
    TwoWidths,
    Categories,
    Padded,
    Biased,
    Normed,
    Tied,
    sage,
]


@pytest.mark.parametrize('make', OTHER)
def test_other_tables_are_left_alone(make: Any) -> None:
    """Profiles go to the output, and the parts tell how much."""
    torch.manual_seed(0)
    data = data_with_features()
    model = DaRecAlign(make(), 12)
    fit(model, data, epochs=1, batch_size=64, progress=False)
    parts = model.parts(data)
    for n, embedding in enumerate(model(data)):
        total = parts['specific'][n] + parts['shared'][n]
        torch.testing.assert_close(total, embedding)
        own = model.model.encode(as_graph(data))[n]
        torch.testing.assert_close(parts['specific'][n], own)


@pytest.mark.parametrize('make', [Tables, Wide])
@pytest.mark.parametrize('is_square', [False, True])
def test_items_before_users(make: Any, is_square: bool) -> None:
    torch.manual_seed(0)
    data = square_data() if is_square else telling_data()
    num_users = data['user'].num_nodes
    backbone = make(num_users)
    model = DaRecAlign(backbone, 12)
    model(data)
    graph, injection = as_graph(data), model.injection
    own = backbone.users.weight.detach(), backbone.items.weight.detach()
    assert injection.user_weight.size(0) == 8
    with torch.no_grad():
        wanted = make(num_users)
        pair = injection(graph, *own)
        wanted.users.weight.copy_(pair[0])
        wanted.items.weight.copy_(pair[1])
    for found, value in zip(model(data), wanted(data), strict=True):
        torch.testing.assert_close(found, value)


class Homogeneous(Module):
    """One table of all nodes, in either order, and messages."""

    def __init__(self, items_first: bool, num_layers: int = 2) -> None:
        super().__init__()
        self.table = Embedding(USERS + ITEMS, 8)
        self.items_first = items_first
        self.num_layers = num_layers

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.items_first:
            item, user = self.table.weight.split([ITEMS, USERS])
        else:
            user, item = self.table.weight.split([USERS, ITEMS])
        total = user, item
        for _ in range(self.num_layers):
            user, item = as_graph(data).propagate(user, item)
            total = total[0] + user, total[1] + item
        return total


class Nameless(Module):
    """Two tables of one size, items before users."""

    def __init__(self, items_first: bool) -> None:
        super().__init__()
        self.a, self.b = Embedding(ITEMS, 8), Embedding(ITEMS, 8)
        self.items_first = items_first

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        a, b = self.a.weight, self.b.weight
        return (b, a) if self.items_first else (a, b)


def square_data() -> HeteroData:
    data = telling_data()
    keep = data[RATES].edge_index[0] < ITEMS
    data[RATES].edge_index = data[RATES].edge_index[:, keep]
    data['user'].num_nodes = ITEMS
    data['user'].llm_x = data['user'].llm_x[:ITEMS]
    del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    return data


@torch.no_grad()
def turned(backbone: Module) -> Module:
    """The same model with users and items in the other order."""
    other = copy.deepcopy(backbone)
    other.items_first = not backbone.items_first
    if isinstance(backbone, Nameless):
        other.a.weight.copy_(backbone.b.weight)
        other.b.weight.copy_(backbone.a.weight)
    else:
        sizes = [USERS, ITEMS][:: 1 if other.items_first else -1]
        second = backbone.table.weight.split(sizes)[::-1]
        other.table.weight.copy_(torch.cat(second))
    return other


@pytest.mark.parametrize('num_layers', [0, 1, 3, None])
@pytest.mark.parametrize('aligner', [DaRecAlign, RLMRecGenAlign])
def test_order_of_rows_is_found(aligner: Any, num_layers: int | None) -> None:
    """Users first and items first are the same model."""
    is_square = num_layers is None
    data = square_data() if is_square else telling_data()
    torch.manual_seed(0)
    first = Nameless(False) if is_square else Homogeneous(False, num_layers)
    found = []
    for backbone in (first, turned(first)):
        torch.manual_seed(0)
        model = aligner(backbone, 12)
        torch.manual_seed(0)
        loss, _ = model.loss(data, random_batch(data))
        loss.backward()
        found.append((loss, torch.rand(3), *model.eval()(data)))
        copied = pickle.loads(pickle.dumps(model))
        fresh = aligner(copy.deepcopy(backbone), 12)
        fresh.load_state_dict(model.state_dict())
        compiled = torch.compile(model, backend='eager')
        for other in (copied, fresh.eval(), compiled):
            for x, y in zip(other(data), model(data), strict=True):
                torch.testing.assert_close(x, y)
    torch.compiler.reset()
    for x, y in zip(*found, strict=True):
        torch.testing.assert_close(x, y)


def test_order_of_rows_that_do_not_arrive_as_they_are() -> None:
    """Users first, where a node's own row makes no difference to it."""

    class Passed(Homogeneous):
        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            user, item = self.table.weight.split([USERS, ITEMS])
            return as_graph(data).propagate(user, item)

    data, backbone = telling_data(), Passed(False)
    model = DaRecAlign(backbone, 12).eval()
    user, item = backbone.table.weight.split([USERS, ITEMS])
    with pytest.warns(UserWarning, match='cannot be told'):
        own = model(data)
    wanted = as_graph(data).propagate(
        *model.injection(as_graph(data), user, item)
    )
    for x, y in zip(own, wanted, strict=True):
        torch.testing.assert_close(x, y)


def test_order_is_asked_once_and_draws_nothing() -> None:
    calls = 0

    class Noisy(Homogeneous):
        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            nonlocal calls
            calls += 1
            torch.rand(1)
            return super().forward(data)

    data = telling_data()
    graph, model = as_graph(data), DaRecAlign(Noisy(False), 12)
    before = torch.get_rng_state()
    assert not model.has_items_first(graph)
    assert torch.equal(torch.get_rng_state(), before)
    assert calls > 1
    calls = 0
    assert not model.has_items_first(graph)
    assert calls == 0


def test_tables_that_do_not_arrive() -> None:
    class Aside(Tower):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.item = Embedding(USERS, 8), Embedding(ITEMS, 8)

    with pytest.warns(UserWarning, match='does not reach its embeddings'):
        DaRecAlign(Aside(), 12)(data_with_features())


def test_one_bare_table() -> None:
    data = telling_data()
    model = DaRecAlign(
        Embedding(USERS + ITEMS, 8),
        12,
        embed=lambda m, data: (m.weight[:USERS], m.weight[USERS:]),
    )
    fit(model, data, epochs=1, batch_size=64, progress=False)
    assert model.embedding_names() == ('model.model.weight',)


@pytest.mark.parametrize('aligner', [DaRecAlign, RLMRecGenAlign])
def test_sparse_gradients_of_rows(aligner: Any) -> None:
    """The dense ones, for tables that are looked up."""
    data = telling_data()
    found = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model = aligner(Tables(sparse=sparse), 12)
        torch.manual_seed(0)
        model.loss(data, random_batch(data))[0].backward()
        found.append([p.grad for p in model.parameters()])
    for dense, rows in zip(*found, strict=True):
        torch.testing.assert_close(dense, rows.to_dense())


def test_tables_that_lookups_rewrite() -> None:
    """They are left as they are, and profiles go to the output."""
    data = telling_data()
    model = DaRecAlign(Tables(max_norm=1.0), 12)
    fit(model, data, epochs=2, batch_size=64, lr=0.1, progress=False)
    own = model.model.encode(as_graph(data))
    wanted = model.injection(as_graph(data), *own)
    for x, y, z in zip(model(data), wanted, own, strict=True):
        torch.testing.assert_close(x, y)
        assert z.norm(dim=1).max() < 1.0001
    with pytest.raises(TypeError, match="tables without 'max_norm'"):
        RLMRecGenAlign(Tables(max_norm=1.0), 12)


@pytest.mark.parametrize('make', [Tower, Tables])
def test_renew_takes_the_data(make: Any) -> None:
    data, found = data_with_features(), []
    for convert in (as_graph, lambda data: data):
        torch.manual_seed(0)
        model = DaRecAlign(make(), 12)
        model.renew(convert(data), 1, 0)
        found.append(model.embed_profiles(data['item'].llm_x[:2]))
    assert torch.equal(*found)


@pytest.mark.parametrize('outer', [DaRecAlign, RLMRecGenAlign, RLMRecConAlign])
@pytest.mark.parametrize('inner', [DaRecAlign, RLMRecGenAlign])
def test_aligners_around_aligners(outer: Any, inner: Any) -> None:
    data = telling_data()
    model = outer(inner(LightGCN.from_data(data, 8), 12), 12)
    fit(model, data, epochs=1, batch_size=64, progress=False)
    assert all(x.isfinite().all() for x in model(data))


@pytest.mark.parametrize('num_neighbors', [0, 5])
@pytest.mark.parametrize('precision', ['bf16-mixed', 'bf16-true'])
def test_half_precision(precision: str, num_neighbors: int) -> None:
    data = data_with_features()
    for backbone in (Biased(), LightGCN.from_data(data, 8)):
        if precision == 'bf16-true' and isinstance(backbone, Tower):
            continue  # its features are of single precision
        model = DaRecAlign(backbone, 12, num_neighbors=num_neighbors)
        kwargs = {'epochs': 1, 'batch_size': 64, 'precision': precision}
        fit(model, data, progress=False, **kwargs)
        assert all(x.isfinite().all() for x in model(data))


@pytest.mark.parametrize('matching', ['greedy', 'optimal'])
def test_literal_form_in_half_precision(matching: Any) -> None:
    data = telling_data()
    backbone = LightGCN.from_data(data, 8)
    model = DaRecAlign(backbone, 12, preset='paper', matching=matching)
    kwargs = {'epochs': 1, 'batch_size': 64, 'precision': 'bf16-true'}
    fit(model, data, progress=False, **kwargs)
    assert all(x.isfinite().all() for x in model(data))


def test_model_in_double_precision() -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8).double(), 12)
    user, item = model(data)
    assert user.dtype == item.dtype == torch.double


def test_width_is_checked_before_training() -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), 7)
    with pytest.raises(ValueError, match="'llm_dim' is 7"):
        fit(model, data, epochs=1, progress=False)
    with pytest.raises(ValueError, match="'llm_dim' is 7"):
        model(data)


def test_evaluation_needs_the_profiles() -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), 12)
    fit(model, data, epochs=1, batch_size=64, progress=False)
    del data['user'].llm_x, data['item'].llm_x
    with pytest.raises(ValueError, match='needs profile embeddings'):
        evaluate(model, data, ks=(5,))


def test_evaluation_learns_nothing() -> None:
    """Profiles of a kind that training did not know are passed over."""
    data = telling_data()
    more = copy.copy(data)
    del data['user'].llm_x
    model = DaRecAlign(LightGCN.from_data(data, 8), 12)
    fit(model, data, epochs=1, batch_size=64, progress=False)
    before = model(data)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.eval()(more)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    for x, y in zip(before, model(data), strict=True):
        assert torch.equal(x, y)
    model.train()(more)
    assert not torch.equal(model.injection.space.trust, state.popitem()[1])
    assert model.injection.space.knows(as_graph(more))


@pytest.mark.parametrize('make', [Tower, Biased, Tables])
def test_first_call_in_inference_mode(make: Any) -> None:
    data = data_with_features()
    model = DaRecAlign(make(), 12)
    with torch.inference_mode():
        model(data)
    fit(model, data, epochs=1, batch_size=64, progress=False)


class Counted(BPR):
    calls = 0

    def __call__(self, *args: Any) -> Tensor:
        Counted.calls += 1
        return super().__call__(*args)


@pytest.mark.parametrize('aligner', [DaRecAlign, KARAlign])
@pytest.mark.parametrize('make', [Tower, sage])
def test_objective_is_computed_once(make: Any, aligner: Any) -> None:
    data = data_with_features()
    batch = random_batch(data)
    model = aligner(make(), 12)
    model.objective = Counted()
    model.loss(data, batch)
    Counted.calls = 0
    loss, terms = model.loss(data, batch)
    assert Counted.calls == 1
    assert loss == terms['bpr'] == bpr_loss(*model(data), batch)


@pytest.mark.parametrize('aligner', [DaRecAlign, KARAlign])
def test_own_loss_is_kept_beside_the_objective(aligner: Any) -> None:
    class WithLoss(Tower):
        def loss(self, data: HeteroData, batch: Any) -> Tensor:
            return self(data)[0].square().mean()

    data = data_with_features()
    terms = aligner(WithLoss(), 12).loss(data, random_batch(data))[1]
    assert terms.keys() == {'base', 'bpr'}


def test_profiles_of_others_are_told() -> None:
    data = telling_data()
    data['item'].llm_x = data['item'].llm_x[torch.randperm(ITEMS)]
    with pytest.warns(UserWarning, match='order of the items'):
        DaRecAlign(LightGCN.from_data(data, 8), 12)(data)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        good = telling_data()
        DaRecAlign(LightGCN.from_data(good, 8), 12)(good)


class BothNames(Module):
    def __init__(self) -> None:
        super().__init__()
        tables = {k: Embedding(ITEMS, 8) for k in ('user', 'item')}
        self.user_item_tables = ModuleDict(tables)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        tables = self.user_item_tables
        return tables['user'].weight, tables['item'].weight  # type: ignore[return-value]


def test_both_names_in_one_path() -> None:
    data, model = square_data(), BothNames()
    aligned = DaRecAlign(model, 12, neighbor_weight=0).eval()
    shared = aligned.parts(data)['shared']
    for x, y, kind in zip(aligned(data), shared, ('user', 'item'), strict=True):
        own = model.user_item_tables[kind].weight
        assert torch.allclose(x - own, y, atol=1e-6)
        assert y.any()


class HalfUsed(Tower):
    """A table of items that is no longer used."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = Embedding(USERS, 8), Embedding(ITEMS, 8)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item_map(data['item'].x)


def test_one_table_that_does_not_arrive() -> None:
    data, model = data_with_features(), DaRecAlign(HalfUsed(), 12)
    with pytest.warns(UserWarning, match='profiles of items add') as caught:
        model(data)
    assert not any('users' in str(w.message) for w in caught)


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    'aligner',
    [
        DaRecAlign,
        partial(DaRecAlign, preset='paper'),
        RLMRecConAlign,
        RLMRecGenAlign,
        KARAlign,
        CTRLAlign,
        ControlRecAlign,
    ],
)
def test_models_of_other_dtypes(aligner: Any, dtype: torch.dtype) -> None:
    class Typed(Module):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.item = (
                Embedding(n, 8, dtype=dtype) for n in (USERS, ITEMS)
            )
            self.linear = Linear(8, 8, dtype=dtype)

        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            return self.linear(self.user.weight), self.linear(self.item.weight)

    data = telling_data()
    model = Typed()
    loss, _ = aligner(model, 12).loss(data, random_batch(data))
    loss.backward()
    assert loss.isfinite()
    assert model.user.weight.grad is not None or aligner is CTRLAlign
