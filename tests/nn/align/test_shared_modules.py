"""Models that reach one table by several paths, and samples of all nodes."""

import copy
from typing import Any

import pytest
import torch
from conformance.graphs import RATES, random_batch, telling_data
from torch import Tensor
from torch.nn import Embedding, Linear, Module, ModuleList, Parameter
from torch_geometric.data import HeteroData

from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import RLMRecGenAlign
from pyg_darec.nn.models import LightGCN

USERS, ITEMS = 30, 20


class Layer(Module):
    def __init__(self, table: Embedding) -> None:
        super().__init__()
        self.table = table
        self.linear = Linear(8, 8)

    def forward(self) -> Tensor:
        out: Tensor = self.linear(self.table.weight)
        return out


class TwoPaths(Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = Embedding(USERS + ITEMS, 8)
        self.layer = Layer(self.table)
        self.listed = ModuleList([self.table])

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        x = self.table.weight + 0.1 * self.layer()
        return x[:USERS], x[USERS:]


class OnePath(TwoPaths):
    """The same with the table in one place."""

    def __init__(self, other: TwoPaths) -> None:
        super().__init__()
        self.load_state_dict(other.state_dict())
        del self.layer.table, self.listed
        self.layer.forward = lambda: self.layer.linear(self.table.weight)  # type: ignore[method-assign]


class TwoPathsInside(LightGCN):
    """A backbone with a part that is given its tables."""

    @classmethod
    def make(cls, data: HeteroData) -> 'TwoPathsInside':
        model = cls.from_data(data, 8)
        model.again = ModuleList([model.user_embedding, model.item_embedding])
        return model


@pytest.mark.parametrize('align', [DaRecAlign, RLMRecGenAlign])
@pytest.mark.parametrize('make', [TwoPaths, None])
def test_tables_are_put_back(align: Any, make: Any) -> None:
    data = telling_data()
    model = make() if make else TwoPathsInside.make(data)
    before = {n: (p, p.clone()) for n, p in model.named_parameters()}
    aligned = align(model, 12)
    outputs = []
    for seed in range(3):
        loss, _ = aligned.loss(data, random_batch(data, seed=seed))
        loss.backward()
        outputs.append(torch.cat(aligned.eval()(data)))
    assert outputs[0].equal(outputs[1])
    assert outputs[0].equal(outputs[2])
    for name, (param, value) in before.items():
        now = model.get_parameter(name)
        assert isinstance(now, Parameter)
        assert now is param
        assert now.equal(value)
    fit(aligned, data, epochs=2, progress=False)
    assert evaluate(aligned, data, ks=(5,)) == evaluate(aligned, data, ks=(5,))


def test_all_paths_lead_to_what_was_put_there() -> None:
    data = telling_data()
    several = TwoPaths()
    one = OnePath(several)
    pair = [DaRecAlign(model, 12) for model in (several, one)]
    batch = random_batch(data)
    losses = [aligned.loss(data, batch)[0] for aligned in pair]
    assert torch.allclose(losses[0], losses[1])
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    a, b = several.table.weight.grad, one.table.weight.grad
    assert a is not None
    assert b is not None
    assert torch.allclose(a, b, atol=1e-7)


class Lookup(Module):
    """Looks its nodes up, as models on sampled data do."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.user, self.item = Embedding(USERS, 8), Embedding(ITEMS, 8)
        self.linear = Linear(8, width)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        pair = self.user(data['user'].n_id), self.item(data['item'].n_id)
        return self.linear(pair[0]), self.linear(pair[1])


def whole_and_sample() -> tuple[HeteroData, HeteroData]:
    data, sample = telling_data(), HeteroData()
    of = {'user': torch.arange(0, USERS, 2), 'item': torch.arange(ITEMS)[3:]}
    keep = torch.ones(data[RATES].edge_index.size(1), dtype=torch.bool)
    place = {}
    for row, (kind, index) in enumerate(of.items()):
        data[kind].n_id = torch.arange(data[kind].num_nodes)
        place[kind] = torch.full((data[kind].num_nodes,), -1)
        place[kind][index] = torch.arange(len(index))
        sample[kind].n_id, sample[kind].num_nodes = index, len(index)
        sample[kind].llm_x = data[kind].llm_x[index]
        keep &= place[kind][data[RATES].edge_index[row]] >= 0
    user, item = data[RATES].edge_index[:, keep]
    pair = place['user'][user], place['item'][item]
    sample[RATES].edge_index = torch.stack(pair)
    return data, sample


@pytest.mark.parametrize('width', [8, 4])
def test_samples_get_what_all_data_does(width: int) -> None:
    data, sample = whole_and_sample()
    model = DaRecAlign(Lookup(width), 12).eval()
    whole = model(data)
    assert not whole[0].equal(model.model(data)[0])
    for x, y, kind in zip(whole, model(sample), ('user', 'item'), strict=True):
        assert torch.allclose(x[sample[kind].n_id], y, atol=1e-6)
    model.train().loss(sample, random_batch(sample))[0].backward()
    grad = model.model.model.user.weight.grad
    assert grad is not None
    assert grad.any()


@pytest.mark.parametrize('cls', [DaRecAlign, RLMRecGenAlign])
def test_all_nodes_in_another_order(cls: Any) -> None:
    """As PyG's loaders may give them; a sample like others."""
    data, _ = whole_and_sample()
    order = {k: torch.randperm(data[k].num_nodes) for k in ('user', 'item')}
    sample, place = HeteroData(), []
    for row, (kind, index) in enumerate(order.items()):
        sample[kind].n_id, sample[kind].num_nodes = index, len(index)
        sample[kind].llm_x = data[kind].llm_x[index]
        place.append(index.argsort()[data[RATES].edge_index[row]])
    sample[RATES].edge_index = torch.stack(place)
    model = cls(Lookup(), 12)
    if cls is RLMRecGenAlign:
        with pytest.raises(ValueError, match='needs a table of'):
            model.loss(sample, random_batch(sample))
        return
    model.eval()
    for part in (data, sample, data, whole_and_sample()[1]):
        out = model(part)
        if part is data:
            whole = out
        for x, y, kind in zip(whole, out, ('user', 'item'), strict=True):
            assert torch.allclose(x[part[kind].n_id], y, atol=1e-6)


def test_a_table_more_does_not_move_profiles() -> None:
    data, _ = whole_and_sample()
    model = DaRecAlign(Lookup(), 12)
    model(data)
    model.model.model.side = Embedding(3, 8)
    with pytest.raises(ValueError, match='keep its tables'):
        model(data)
    model.reset_parameters()
    model(data)
    assert model.injection is not None
    assert model.injection.is_at_input is False


def test_a_sample_first() -> None:
    data, sample = whole_and_sample()
    model = DaRecAlign(Lookup(), 12)
    model(sample)
    with pytest.raises(ValueError, match='once with all interactions'):
        model(data)
    model.reset_parameters()
    model(data)
    model(sample)
    # A copy knows that, but not the data.
    other = copy.deepcopy(model)
    with pytest.raises(ValueError, match=r'in the input .* be in its output'):
        other(sample)
    other(data)
    other(sample)


def test_state_tells_where_profiles_go() -> None:
    data, sample = whole_and_sample()
    model = DaRecAlign(Lookup(), 12).eval()
    model(data)
    expected = model(sample)
    other = DaRecAlign(Lookup(), 12).eval()
    other.load_state_dict(model.state_dict())
    with pytest.raises(ValueError, match=r'in the input .* be in its output'):
        other(sample)
    other(data)
    for x, y in zip(other(sample), expected, strict=True):
        assert torch.equal(x, y)


def test_whole_data_follow_the_model() -> None:
    data, sample = whole_and_sample()
    model = DaRecAlign(Lookup(), 12)
    model(data)
    model.to('meta')
    found = model._find_tables(as_graph(sample).to('meta'))
    assert found is not None
    assert found[0].device.type == 'meta'


def test_parts_are_copies_and_of_the_nodes_that_were_asked_for() -> None:
    data, sample = whole_and_sample()
    model = DaRecAlign(Lookup(), 12, preset='paper', profile_weight=0.3)
    model(data)
    for each in (data, sample):
        parts = model.parts(each)
        num = each['user'].num_nodes, each['item'].num_nodes
        for pair in parts.values():
            assert (pair[0].size(0), pair[1].size(0)) == num
        own = parts['specific'], parts['shared']
        total = [a + b for a, b in zip(*own, strict=True)]
        if each is sample:
            for x, y in zip(total, model.unscored(as_graph(each)), strict=True):
                assert torch.allclose(x, y, atol=1e-6)
    before = model.model.model.user.weight.clone()
    model.parts(data)['specific'][0].zero_()
    assert model.model.model.user.weight.equal(before)
