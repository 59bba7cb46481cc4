"""The default form of DaRec: profiles in the input embeddings."""

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from conformance.backbone import BACKBONES
from conformance.canonical import formula
from conformance.graphs import RATES, random_batch, random_data, telling_data
from conformance.recommender import RecommenderConformance
from torch.nn import Module
from torch.nn.utils.parametrize import register_parametrization
from torch_geometric.data import HeteroData
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import (
    DaRecAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
    injection,
)
from pyg_darec.nn.functional import blocks, uniformity
from pyg_darec.nn.models import (
    DCCF,
    NCL,
    SGL,
    Backbone,
    LightGCL,
    LightGCN,
    SimGCL,
)
from pyg_darec.nn.recommender import Step

KINDS = 'user', 'item'


@pytest.mark.parametrize('wrap', [RLMRecConAlign, lambda model, _: model])
@pytest.mark.parametrize('backbone', [LightGCN, PyGLightGCN])
def test_profiles_are_added_once_a_step(wrap, backbone) -> None:
    graph, batch = as_graph(telling_data()), random_batch(telling_data())
    own = backbone is LightGCN
    inner = LightGCN(30, 20, 8) if own else PyGLightGCN(50, 8, 2)
    model = DaRecAlign(wrap(inner, 12), 12)
    model.renew(graph, 1, 0)
    calls: list[None] = []
    model.injection.register_forward_hook(lambda *_: calls.append(None))
    model.renew(graph, 1, 1)
    model.loss(graph, batch)
    assert len(calls) == 1


class TestConformance(RecommenderConformance):
    expected_repr = (
        "DaRecAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        "llm_dim=12, preset='default', profile_weight=0.3, "
        'neighbor_weight=0.5, num_neighbors=5)'
    )

    def make(self, data: HeteroData) -> DaRecAlign:
        return DaRecAlign(LightGCN.from_data(data, 8, edge_dropout=0.0), 12)

    def test_gradients_reach_every_parameter(self) -> None:
        # Those of noise are zero, and there.
        for data, some in ((random_data(), False), (telling_data(), True)):
            model = self.make(data)
            model.loss(data, random_batch(data))[0].backward()
            for name, param in model.named_parameters():
                assert param.grad is not None, name
                assert param.grad.any() or not some, name


def weights(model: DaRecAlign) -> dict[str, torch.Tensor]:
    assert model.injection is not None
    return {
        'user': model.injection.user_weight,
        'item': model.injection.item_weight,
    }


def trust(model: DaRecAlign, data: HeteroData) -> list[float]:
    model(data)
    assert model.injection is not None
    return model.injection.space.trust.tolist()


def dense_neighbors(x: torch.Tensor, k: int) -> torch.Tensor:
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-30)
    cosine = (x @ x.t()).fill_diagonal_(-9)
    kept = torch.zeros_like(cosine)
    top = cosine.topk(k).indices
    kept.scatter_(1, top, cosine.gather(1, top).clamp(min=0))
    kept = torch.maximum(kept, kept.t())
    scale = kept.sum(1).clamp(min=1e-30).rsqrt()
    return scale[:, None] * kept * scale[None, :]


def directions(x: torch.Tensor) -> torch.Tensor:
    """Of rows that are not zero; the last user and item met nobody."""
    out, known = torch.zeros_like(x), x.any(dim=1)
    x = x[known] / x[known].norm(dim=1, keepdim=True)
    x = x - x.mean(0)
    out[known] = x / x.norm(dim=1, keepdim=True)
    return out


def mixed(data: HeteroData, trust: list[float]) -> list[torch.Tensor]:
    """Profiles in the company of others, with means over a dense matrix."""
    user, item = (directions(data[kind].llm_x.double()) for kind in KINDS)
    met = torch.zeros(len(user), len(item), dtype=torch.double)
    met[data[RATES].edge_index[0], data[RATES].edge_index[1]] = 1
    of_user, of_item = trust[0] / max(trust), trust[1] / max(trust)
    mean = met / met.sum(1, keepdim=True).clamp(min=1)
    user = of_user * user + of_item * directions(mean @ item)
    mean = met.t() / met.sum(0).unsqueeze(1).clamp(min=1)
    item = of_item * item + 0.5 * directions(mean @ user)
    return [directions(user), directions(item)]


@pytest.mark.parametrize('k', [3, 10])
def test_equals_the_formula(k: int) -> None:
    """Written out in float64, with N x N matrices."""
    torch.manual_seed(0)
    data = telling_data()
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = DaRecAlign(
        backbone, 12, num_neighbors=k, rank=5, profile_weight=0.7
    ).double()
    out = model.eval()(data)
    trusts = trust(model, data)
    assert 0.5 < min(trusts) < max(trusts)
    tables, vectors = [], mixed(data, trusts)
    maps = formula(as_graph(data), *(x.numpy() for x in vectors), 5)
    reduced = [
        x @ torch.from_numpy(m.T) for x, m in zip(vectors, maps, strict=True)
    ]
    assert model.injection is not None
    profiles = model.injection.prepare(as_graph(data))
    own = [profiles[kind].x / max(trusts) / 0.7 for kind in KINDS]
    assert all((x[:, 0] == 0.5).all() for x in own)
    # Both sides of a direction may change their sign.
    for n, m in ((0, 0), (0, 1), (1, 1)):
        gram = own[n][:, 1:] @ own[m][:, 1:].t()
        assert torch.allclose(gram, reduced[n] @ reduced[m].t(), atol=1e-6)
    for n, kind in enumerate(KINDS):
        near = dense_neighbors(vectors[n], k)
        e = backbone.get_parameter(f'{kind}_embedding.weight').detach()
        shared = 0.7 * own[n] @ weights(model)[kind].detach().t()
        tables.append(e + max(trusts) * (0.5 * near @ e + shared))
    plain = LightGCN.from_data(data, 8, edge_dropout=0.0).double()
    with torch.no_grad():
        plain.user_embedding.weight.copy_(tables[0])
        plain.item_embedding.weight.copy_(tables[1])
    for got, expected in zip(out, plain.eval()(data), strict=True):
        assert torch.allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize('kind', ['narrow', 'few'])
def test_few_directions_are_no_longer(kind: str) -> None:
    """Each has the length that it has among as many as there should be."""
    data, width = telling_data(), 12
    if kind == 'few':
        taste, width = torch.eye(5, 12), 4  # a direction less, as centred
        for name in KINDS:
            data[name].llm_x = taste[torch.arange(data[name].num_nodes) % 5]
    length = {}
    for rank in (width, 9 * width):
        torch.manual_seed(0)
        backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
        model = DaRecAlign(backbone, 12, rank=rank)
        model(data)
        assert model.injection is not None
        profiles = model.injection.prepare(as_graph(data))
        length[rank] = [profiles[kind].x[:, 1:].norm() for kind in KINDS]
    for few, many in zip(*length.values(), strict=True):
        torch.testing.assert_close(many, few / 3)


def shuffled(data: HeteroData) -> HeteroData:
    for kind in ('user', 'item'):
        order = torch.randperm(data[kind].num_nodes)
        data[kind].llm_x = data[kind].llm_x[order]
    return data


@pytest.mark.parametrize('value', [None, 0.0, 1.0])
def test_profiles_that_say_nothing_change_nothing(value: float | None) -> None:
    torch.manual_seed(0)
    data, batch = telling_data(), random_batch(random_data())
    shuffled(data)
    if value is not None:
        for kind in ('user', 'item'):
            data[kind].llm_x = torch.full_like(data[kind].llm_x, value)
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = DaRecAlign(backbone, 12)
    assert trust(model, data) == [0, 0]
    for got, expected in zip(model(data), backbone(data), strict=True):
        assert torch.equal(got, expected)
    assert model.loss(data, batch)[0] == backbone.loss(data, batch)[0]


def test_trust_tells_noise_from_profiles() -> None:
    torch.manual_seed(0)
    for _ in range(20):
        data = telling_data()
        assert min(trust(make(data), data)) > 0.5
        assert trust(make(data), shuffled(data)) == [0, 0]


def fitted(model: DaRecAlign, data: HeteroData) -> list[str]:
    """The warnings of a training."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        fit(model, data, epochs=1, batch_size=64, progress=False)
    return [str(w.message) for w in caught if 'do not agree' in str(w.message)]


@pytest.mark.parametrize('looks_first', [False, True])
def test_profiles_that_were_put_in_order_count(looks_first: bool) -> None:
    torch.manual_seed(0)
    data = shuffled(telling_data())
    model = make(data)
    assert len(fitted(model, data)) == 2
    assert trust(model, data) == [0, 0]
    assert len(fitted(model, data)) == 0  # nothing is new
    right = telling_data()
    if looks_first:
        model.eval()(right)
        assert trust(model, right) == [0, 0]
    assert fitted(model, right) == []
    assert trust(model, right) == trust(make(right), right)
    assert model.parts(right)['shared'][0].norm() > 1


def test_more_interactions_bear_profiles_out() -> None:
    data = telling_data()
    few = copy.copy(data)
    few[RATES].edge_index = data[RATES].edge_index[:, :2]
    model = make(data)
    model(few)
    assert trust(model, few) == [0, 0]
    model(data)
    assert trust(model, data) == trust(make(data), data)


def test_a_sample_measures_nothing() -> None:
    """Some of many samples would seem to agree by chance."""
    torch.manual_seed(0)
    data = shuffled(telling_data())
    model = make(data)
    model(data)
    sample = telling_data()
    sample[RATES].edge_index = sample[RATES].edge_index[:, ::3]
    model(sample)
    assert trust(model, sample) == [0, 0]


def test_trust_that_is_not_borne_out_any_more() -> None:
    torch.manual_seed(0)
    data = telling_data()
    model = make(data)
    assert fitted(model, data) == []
    before = trust(model, data)
    other = shuffled(telling_data())
    told = fitted(model, other)
    assert len(told) == 2
    assert 'reset_parameters' in told[0]
    assert trust(model, other) == before
    assert fitted(model, other) == []
    # Evaluation says nothing.
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model.eval()(shuffled(telling_data()))


def make(data: HeteroData, **kwargs: float) -> DaRecAlign:
    return DaRecAlign(LightGCN.from_data(data, 8), 12, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize('kind', ['user', 'item'])
def test_profiles_of_one_type_will_do(kind: str) -> None:
    data, batch = telling_data(), random_batch(random_data())
    del data[kind].llm_x
    model = make(data)
    model.loss(data, batch)[0].backward()
    for weight in weights(model).values():
        assert weight.grad.any()  # what interactions say of the others
    other = {'user': 'item', 'item': 'user'}[kind]
    del data[other].llm_x
    with pytest.raises(ValueError, match=r"'DaRecAlign' needs profile"):
        model.loss(data, batch)


def test_profiles_of_one_type_that_are_noise_are_left_out() -> None:
    data, other = telling_data(), telling_data()
    data['user'].llm_x = torch.randn(30, 12)
    del other['user'].llm_x
    models = make(data), make(other)
    assert trust(models[0], data)[0] == 0
    out = []
    for model, own in zip(models, (data, other), strict=True):
        assert model.injection is not None
        profiles = model.injection.prepare(as_graph(own))
        # Components are found among those of both sides, and turned.
        out.append(torch.cat([profiles[kind].x for kind in KINDS]))
    assert torch.allclose(*(x @ x.t() for x in out), atol=1e-5)


def test_missing_profiles_are_not_zeros_that_pretend() -> None:
    """A node without one moves no mean, and has what its interactions say;
    without these, it is nobody's neighbour and has the constant alone."""
    data, full = telling_data(), telling_data()
    data['item'].llm_x[[3, 7]] = 0
    rest = torch.tensor([n for n in range(20) if n not in (3, 7)])
    model = make(data)
    model(data)
    tables = [torch.randn(30, 8), torch.randn(20, 8)]
    assert model.injection is not None
    _, item = model.injection(as_graph(data), *tables)
    assert (item != tables[1]).any(dim=1).all()

    for split in ('val', 'test'):
        del full[RATES][f'{split}_edge_label_index']
        del data[RATES][f'{split}_edge_label_index']
    keep = torch.isin(full[RATES].edge_index[1], rest)
    data[RATES].edge_index = data[RATES].edge_index[:, keep]
    full[RATES].edge_index = full[RATES].edge_index[:, keep]
    full[RATES].edge_index[1] = torch.searchsorted(
        rest, full[RATES].edge_index[1]
    )
    full['item'].num_nodes, full['item'].llm_x = 18, full['item'].llm_x[rest]
    model, other = make(data), make(full)
    model(data)
    other(full)
    assert model.injection is not None
    assert other.injection is not None
    space, expected = model.injection.space, other.injection.space
    assert torch.allclose(space.center, expected.center)
    assert torch.allclose(space.basis.abs(), expected.basis.abs(), atol=1e-4)
    # Shuffles of other sizes measure another trust.
    other.injection.load_state_dict(model.injection.state_dict())
    _, item = model.injection(as_graph(data), *tables)
    constant = 0.5 * 0.3 * max(trust(model, data))
    alone = tables[1][[3, 7]] + constant * weights(model)['item'][:, 0]
    assert torch.allclose(item[[3, 7]], alone)
    _, fewer = other.injection(as_graph(full), tables[0], tables[1][rest])
    assert torch.allclose(item[rest], fewer, atol=1e-5)


@pytest.mark.parametrize('kind', ['user', 'item'])
def test_profiles_of_another_width(kind: str) -> None:
    data = telling_data()
    data[kind].llm_x = data[kind].llm_x[:, :5]
    with pytest.raises(ValueError, match=rf"'llm_dim' is 12.*{kind}s.*got 5"):
        make(data).loss(data, random_batch(data))


@pytest.mark.parametrize('backbone', BACKBONES)
def test_every_backbone_trains_and_resumes(
    backbone: type[Backbone], tmp_path: Path
) -> None:
    data = telling_data()

    def build() -> Module:
        torch.manual_seed(3)
        return DaRecAlign(backbone.from_data(data, 8), 12, rank=6)

    def run(model: Module, epochs: int, folder: str) -> Module:
        fit(
            model,
            data,
            epochs=epochs,
            batch_size=32,
            patience=None,
            run_dir=tmp_path / folder,
            resume=True,
            progress=False,
        )
        return model

    whole = run(build(), 6, 'whole')
    run(build(), 3, 'killed')
    parts = run(build(), 6, 'killed')
    for key, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[key]), key
    assert float(whole.injection.space.trust.min()) > 0.5


@pytest.mark.parametrize('backbone', [SGL, SimGCL, LightGCL, NCL, DCCF])
def test_contrasts_are_those_of_the_specific_part(
    backbone: type[Backbone],
) -> None:
    data, batch = telling_data(), random_batch(random_data())
    graph, model = as_graph(data), backbone.from_data(data, 8)
    aligned = DaRecAlign(model, 12)
    for epoch in (1, 100):  # with and without the clusters of NCL
        torch.manual_seed(0)
        model.renew(graph, epoch, 0)
        alone = copy.deepcopy(model)
        torch.manual_seed(0)
        aligned.renew(graph, epoch, 0)
        torch.manual_seed(0)
        terms, user, item = aligned.step(graph, batch)
        torch.manual_seed(0)
        own = alone.auxiliary(graph, batch)
        assert own.keys() == terms.keys() - {'bpr'}
        torch.testing.assert_close({k: terms[k] for k in own}, own)
        objective = model.supervise(graph, user, item, batch)['bpr']
        assert torch.equal(terms['bpr'], objective)
        assert terms['bpr'] != alone.step(graph, batch).terms['bpr']


class Replaced(LightGCN):
    """Its step has a term in place of the objective."""

    def auxiliary(self, graph: Any, batch: Any) -> dict[str, torch.Tensor]:
        return {'spread': uniformity(self.encode(graph)[0])}

    def step(self, graph: Any, batch: Any) -> Step:
        user, item = self.encode(graph)
        shift = {'shift': user.sum() - item.sum()}
        return Step({**shift, **self.auxiliary(graph, batch)}, user, item)


class Shared(Replaced):
    """And says that its step is no more than its parts."""

    has_own_step = False


@pytest.mark.parametrize(
    ('cls', 'expected'),
    [(Replaced, {'shift', 'spread'}), (Shared, {'bpr', 'spread'})],
)
def test_step_of_the_model_is_kept_unless_it_is_its_parts(
    cls: type[LightGCN], expected: set[str]
) -> None:
    data, batch = telling_data(), random_batch(random_data())
    model = cls.from_data(data, 8, edge_dropout=0.0, reg_weight=0)
    aligned = DaRecAlign(model, 12)
    terms = aligned.loss(data, batch)[1]
    assert terms.keys() == expected
    own = model.auxiliary(as_graph(data), batch)['spread']
    assert torch.equal(terms['spread'], own) == (cls is Shared)


def test_step_of_a_subclass_is_what_is_trained() -> None:
    class WithMore(DaRecAlign):
        def step(self, graph: Any, batch: Any) -> Step:
            terms, user, item = super().step(graph, batch)
            return Step({**terms, 'more': user.sum()}, user, item)

    data, batch = telling_data(), random_batch(random_data())
    model = WithMore(LightGCN.from_data(data, 8), 12)
    assert model.loss(data, batch)[1].keys() == {'bpr', 'reg', 'more'}


def test_what_was_found_is_saved() -> None:
    data = telling_data()
    model, other = make(data), make(data)
    out = model.eval()(data)
    other.eval()(shuffled(telling_data()))  # has found something else
    other.load_state_dict(model.state_dict())
    for got, expected in zip(other(data), out, strict=True):
        assert torch.equal(got, expected)


def test_penalty_of_the_model_is_on_its_own_table() -> None:
    data, batch = telling_data(), random_batch(random_data())
    model = make(data)
    expected = model.model.loss(data, batch)[1]['reg']
    assert torch.equal(model.loss(data, batch)[1]['reg'], expected)


def test_both_forms_at_once() -> None:
    data, batch = telling_data(), random_batch(random_data())
    model = make(data, weight=0.1)
    terms = model.loss(data, batch)[1]
    assert set(terms) == {'bpr', 'reg', 'or', 'uni', 'glo', 'loc'}


def test_new_nodes_by_their_profiles() -> None:
    """Taste is all that profiles tell here, and new items of a taste come
    next to the items of it."""
    torch.manual_seed(0)
    data = telling_data()
    model = make(data, rank=5)
    with pytest.raises(ValueError, match=r"'model\(data\)' once"):
        model.embed_profiles(data['item'].llm_x)
    fit(model, data, epochs=60, batch_size=64, lr=0.02, progress=False)
    item = model.eval()(data)[1].detach()
    new = model.embed_profiles(telling_data(seed=7)['item'].llm_x, 'item')
    assert new.shape == (20, 8)
    assert torch.isfinite(new).all()
    means = torch.stack([item[n:19:5].mean(0) for n in range(5)])
    nearest = torch.cdist(new, means).argmin(dim=1)
    assert (nearest == torch.arange(20) % 5).float().mean() > 0.8
    assert model.embed_profiles(data['user'].llm_x[:3], 'user').shape == (3, 8)
    for bad in (torch.randn(2, 5), torch.randn(2, 12).numpy()):
        match = r"'llm_x' needs to be a tensor of shape \(N, 12\)"
        with pytest.raises(ValueError, match=match):
            model.embed_profiles(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='not finite'):
        model.embed_profiles(torch.full((2, 12), torch.nan))
    with pytest.raises(ValueError, match=r"'kind'.*got 'items'"):
        model.embed_profiles(torch.randn(2, 12), 'items')  # type: ignore[arg-type]
    del data['user'].llm_x
    with pytest.raises(ValueError, match='trained with profiles of users'):
        model(data)
    model = make(data, rank=5)
    model(data)
    with pytest.raises(ValueError, match='learns from users'):
        model.embed_profiles(torch.randn(2, 12), 'user')
    data[RATES].edge_index = data[RATES].edge_index[:, :0]
    model(data)
    with pytest.raises(ValueError, match=r'interactions.*got none of 20'):
        model.embed_profiles(torch.randn(2, 12), 'item')


@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_model_in_bfloat16(backbone: type[Backbone]) -> None:
    """Profiles are prepared in float32, and the model is given its dtype."""
    data = telling_data()
    alone = backbone.from_data(data, 8).bfloat16()
    model = DaRecAlign(alone, 12).bfloat16()
    batch = random_batch(data)
    model.renew(as_graph(data), 1, 0)
    loss = model.loss(data, batch)[0]
    loss.backward()
    assert loss.isfinite()
    for x, y in zip(model.eval()(data), alone.eval()(data), strict=True):
        assert x.dtype == y.dtype == torch.bfloat16


@pytest.mark.parametrize('preset', ['default', 'paper'])
def test_parts(preset: str) -> None:
    data = telling_data()
    model = make(data, preset=preset)  # type: ignore[arg-type]
    parts = model.parts(data)
    names = {
        'default': {'specific', 'shared'},
        'paper': {'cf_specific', 'cf_shared', 'llm_specific', 'llm_shared'},
    }[preset]
    assert set(parts) == names
    for user, item in parts.values():
        assert (user.shape, item.shape) == ((30, 8), (20, 8))
        assert user.any()
        assert item.any()
    if preset == 'default':
        own = model.model.get_parameter('user_embedding.weight')
        assert torch.equal(parts['specific'][0], own)


def test_profiles_are_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all graphs that share them and their interactions, and again after
    a change in place."""
    calls = []
    search = injection.neighbor_matrix

    def count(x: torch.Tensor, *args: Any) -> Any:
        calls.append(x)
        return search(x, *args)

    monkeypatch.setattr(injection, 'neighbor_matrix', count)
    data = telling_data()
    model = make(data)
    model(data)
    graph = as_graph(data)
    less = BipartiteGraph(graph.edge_index[:, 1:], 30, 20, graph.llm_x)
    for some in (graph, data):
        model(some)
    assert len(calls) == 2  # users and items
    model(less)  # where the company is another
    assert len(calls) == 4
    calls.clear()
    model(graph)
    assert len(calls) == 2
    before = model.eval()(data)[1]
    data['item'].llm_x[:5] = data['item'].llm_x[:5].flip(0)
    after = model(data)[1]
    assert len(calls) == 4
    assert not torch.equal(before, after)

    # Weights with the same components change nothing of it, others do.
    state = {name: x.clone() for name, x in model.state_dict().items()}
    model.load_state_dict(state)
    assert torch.equal(model(data)[1], after)
    assert len(calls) == 4
    model.load_state_dict(
        {k: 0.5 * x if k.endswith('basis') else x for k, x in state.items()}
    )
    assert not torch.equal(model(data)[1], after)
    assert len(calls) == 6


def test_profiles_are_prepared_in_full_precision() -> None:
    """Also where the first step runs in mixed precision."""
    data, found = telling_data(), []
    for is_mixed in (False, True):
        torch.manual_seed(0)
        model = make(data)
        with torch.autocast('cpu', torch.bfloat16, enabled=is_mixed):
            model(data)
        assert model.injection is not None
        profiles = model.injection.prepare(as_graph(data))
        found.append([model.injection.scale, *(p.x for p in profiles.values())])
    for got, expected in zip(found[1], found[0], strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize('block', [1, 84])
def test_profiles_are_read_a_few_at_a_time(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, or seven of width 12, which divides no number of them."""
    data = telling_data()
    data['user'].llm_x[::4] = 0
    data['item'].llm_x[3] = 0
    found = []
    for size in (blocks._VALUES, block):
        monkeypatch.setattr(blocks, '_VALUES', size)
        torch.manual_seed(0)
        model = make(data).double()
        pair = model(data)
        assert model.injection is not None
        found.append([*pair, *model.injection.space.buffers()])
    for got, expected in zip(found[1], found[0], strict=True):
        assert torch.allclose(got.abs(), expected.abs(), atol=1e-7)


@pytest.mark.parametrize('scale', [2.0**-66, 2.0**66])
def test_profiles_of_any_length(scale: float) -> None:
    """Whose squares vanish or overflow: directions are all that counts."""
    outputs = []
    for factor in (1.0, scale):
        data = telling_data()
        for kind in ('user', 'item'):
            data[kind].llm_x = data[kind].llm_x * factor
        torch.manual_seed(0)
        model = DaRecAlign(LightGCN.from_data(data, 8), 12).eval()
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            user, item = model(data)
        new = model.embed_profiles(data['item'].llm_x[:3])
        outputs.append((user, item, new))
    for got, expected in zip(outputs[1], outputs[0], strict=True):
        assert torch.equal(got, expected)


class Doubled(Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    def right_inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y / 2


def doubled(data: HeteroData) -> LightGCN:
    torch.manual_seed(0)
    model = LightGCN.from_data(data, 8, edge_dropout=0.0)
    for table in (model.user_embedding, model.item_embedding):
        register_parametrization(table, 'weight', Doubled())
    return model


def test_parametrized_tables() -> None:
    """What is computed of a parameter cannot be replaced: profiles are added
    to the output.
    """
    data = telling_data()
    model = DaRecAlign(doubled(data), 12)
    model(data)
    assert model.injection.is_at_input is False
    loss, _ = model.loss(data, random_batch(data))
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(TypeError, match='masks input embeddings'):
        RLMRecGenAlign(doubled(data), 12)


def test_tables_that_are_parametrized_later() -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), 12)
    model(data)
    register_parametrization(model.model.user_embedding, 'weight', Doubled())
    with pytest.raises(ValueError, match='would be in its output'):
        model.loss(data, random_batch(data))
