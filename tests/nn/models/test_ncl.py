import copy
from typing import Any

import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, tables
from conformance.graphs import random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import RLMRecGenAlign
from pyg_darec.nn.models import LightGCN
from pyg_darec.nn.models.ncl import NCL

DATA = random_data()
GRAPH = as_graph(DATA)
BATCH = random_batch(DATA)


class TestConformance(BackboneConformance):
    needs_layers = True
    expected_repr = "NCL(30, 20, 8, num_layers=3, combine='sum')"

    def make(self, data: HeteroData) -> NCL:
        return NCL.from_data(
            data,
            8,
            num_clusters=5,
            warm_up=0,
            ssl_weight=1e-2,
            proto_weight=1e-2,
        )


class TestConformanceWithPrototypes(TestConformance):
    def build(self, data: HeteroData, seed: int = 1) -> NCL:
        model = super().build(data, seed)
        assert isinstance(model, NCL)
        model.renew(as_graph(data), 1, 0)
        assert 'proto' in model.loss(data, random_batch(data))[1]
        return model


def make(seed: int = 0, **kwargs: Any) -> NCL:
    torch.manual_seed(seed)
    kwargs = {'num_clusters': 4, 'warm_up': 0, **kwargs}
    return NCL.from_data(DATA, 8, **kwargs)


def names(model: torch.nn.Module) -> set[str]:
    return set(model.loss(DATA, BATCH)[1])  # type: ignore[operator]


def state(model: torch.nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(('hop', 'alpha'), [(2, 1.0), (4, 0.4)])
def test_contrasts_equal_the_formulas(hop: int, alpha: float) -> None:
    model = make(
        num_layers=4,
        hop=hop,
        temperature=0.3,
        ssl_weight=0.7,
        proto_weight=0.3,
        alpha=alpha,
    ).double()
    model.renew(GRAPH, 1, 0)
    with torch.no_grad():  # the tables move on, prototypes and clusters stay
        model.user_embedding.weight.add_(torch.randn(30, 8) * 0.1)
    terms = model.step(GRAPH, BATCH).terms
    (terms['ssl'] + terms['proto']).backward()

    x = tables(model).requires_grad_()
    near = torch.nn.functional.normalize(x)
    far = torch.matrix_power(adjacency(GRAPH), hop) @ x
    far = torch.nn.functional.normalize(far)
    ssl = proto = torch.zeros(()).double()
    for side, index, scale, prototype, cluster in (
        (slice(30), 0, 1.0, model.user_prototype, model.user_cluster),
        (slice(30, 50), 1, alpha, model.item_prototype, model.item_cluster),
    ):
        prototype = torch.nn.functional.normalize(prototype)
        for v in BATCH[index].tolist():
            cosine = near[side] @ far[side][v] / 0.3
            ssl = ssl + scale * (cosine.exp().sum().log() - cosine[v])
            cosine = prototype @ near[side][v] / 0.3
            own = cosine[cluster[v]]
            proto = proto + (cosine.exp().sum().log() - own)
    ssl, proto = 0.7 * ssl / 40, 0.3 * proto / 40
    (ssl + proto).backward()
    assert torch.allclose(terms['ssl'], ssl, atol=1e-10)
    assert torch.allclose(terms['proto'], proto, atol=1e-10)
    grad = [model.user_embedding.weight.grad, model.item_embedding.weight.grad]
    assert torch.allclose(torch.cat(grad), x.grad, atol=1e-10)  # type: ignore[arg-type]


def test_what_is_scored_is_lightgcn() -> None:
    model = make()
    plain = LightGCN.from_data(DATA, 8, edge_dropout=0.0)
    plain.load_state_dict(dict(model.named_parameters()))
    model.renew(GRAPH, 1, 0)
    for a, b in zip(model(DATA), plain(DATA), strict=True):
        assert torch.equal(a, b)
    own, terms = plain.loss(DATA, BATCH)[1], model.loss(DATA, BATCH)[1]
    assert all(torch.equal(terms[name], own[name]) for name in own)


def test_prototypes_are_centres() -> None:
    model = make(num_iters=50)
    model.renew(GRAPH, 1, 0)
    for x, cluster, prototype in (
        (model.user_embedding.weight, model.user_cluster, model.user_prototype),
        (model.item_embedding.weight, model.item_cluster, model.item_prototype),
    ):
        assert torch.equal(torch.cdist(x, prototype).argmin(dim=1), cluster)
        assert len(cluster.unique()) == 4
        for k in range(4):
            mean = x[cluster == k].mean(dim=0)
            assert torch.allclose(prototype[k], mean, atol=1e-6)


def test_no_more_clusters_than_nodes() -> None:
    model = make(num_clusters=25)
    assert model.user_prototype.shape == (25, 8)
    assert model.item_prototype.shape == (20, 8)
    model.renew(GRAPH, 1, 0)
    own = model.item_prototype[model.item_cluster]
    assert torch.equal(own, model.item_embedding.weight)
    assert model.loss(DATA, BATCH)[0].isfinite()


def test_when_it_clusters() -> None:
    model = make(warm_up=2, cluster_every=3)
    clustered = []
    for epoch in range(1, 10):
        for step in (0, 1):
            with torch.no_grad():
                model.user_embedding.weight.mul_(1.5)
            before = model.user_prototype.clone()
            model.renew(GRAPH, epoch, step)
            if not torch.equal(before, model.user_prototype):
                clustered.append((epoch, step))
        assert ('proto' in names(model)) == (epoch > 2)
    assert clustered == [(3, 0), (6, 0), (9, 0)]
    model.renew(GRAPH, 1, 0)  # another run
    assert 'proto' not in names(model)
    model.renew(GRAPH, 4, 0)  # one that starts late
    assert 'proto' in names(model)


def test_clusters_anew_from_the_prototypes_before() -> None:
    model = make(num_iters=1)
    model.renew(GRAPH, 1, 0)
    before = model.user_prototype.clone()
    model.renew(GRAPH, 2, 0)
    x = model.user_embedding.weight
    nearest = torch.cdist(x, before).argmin(dim=1)
    mean = x[nearest == 0].mean(dim=0)
    assert torch.allclose(model.user_prototype[0], mean, atol=1e-6)


def test_no_prototypes_without_renewal_or_weight() -> None:
    assert 'proto' not in names(make())
    model = make(proto_weight=0.0)
    before = state(model)
    model.renew(GRAPH, 1, 0)
    assert_same(state(model), before)
    assert 'proto' not in names(model)


def test_clusters_are_part_of_the_weights() -> None:
    model, other = make(), make(seed=1)
    fresh = state(other)
    model.renew(GRAPH, 1, 0)
    other.load_state_dict(model.state_dict())
    a, b = (m.loss(DATA, BATCH)[1] for m in (model, other))
    assert torch.equal(a['proto'], b['proto'])
    other.load_state_dict(fresh)
    assert 'proto' not in names(other)
    model.reset_parameters()
    assert 'proto' not in names(model)
    # Buffers that somebody put back are not taken for centres.
    model, other = make(), make()
    model.renew(GRAPH, 1, 0)
    for name, buffer in model.named_buffers():
        buffer.copy_(fresh[name])
    for m in (model, other):
        torch.manual_seed(3)
        m.renew(GRAPH, 1, 0)
    assert_same(state(model), state(other))


def test_inside_an_aligner() -> None:
    model = RLMRecGenAlign(make(), llm_dim=12)
    model.renew(GRAPH, 1, 0)
    assert 'proto' in names(model)
    other = RLMRecGenAlign(make(seed=1), llm_dim=12)
    assert 'proto' not in names(other)
    other.load_state_dict(model.state_dict())
    assert 'proto' in names(other)


class Interrupted(Exception):
    pass


# Clusters are found in epochs 3 and 7; epochs 5 and 6 use those of epoch 3.
@pytest.mark.parametrize('at', [(2, 1), (5, 0), (6, 1), (8, 0)])
def test_resumed_run(tmp_path: Any, at: tuple[int, int]) -> None:
    def run(
        epochs: int = 8, **kwargs: Any
    ) -> tuple[NCL, list[dict[str, float]]]:
        model = make(warm_up=2, cluster_every=4, proto_weight=0.1)
        renew = model.renew

        def watch(graph: Any, epoch: int, step: int) -> None:
            if kwargs.get('run_dir') and (epoch, step) == stop:
                raise Interrupted
            renew(graph, epoch, step)

        model.renew = watch  # type: ignore[method-assign]
        history = fit(
            model,
            GRAPH,
            epochs,
            batch_size=64,
            lr=0.01,
            eval_every=1,
            device='cpu',
            progress=False,
            **kwargs,
        ).history
        return model, [{**row, 'seconds': 0} for row in history]

    stop = at
    whole, expected = run(patience=None)
    with pytest.raises(Interrupted):
        run(patience=None, run_dir=tmp_path)
    torch.rand(3)  # another process, another random state
    stop = (0, 0)
    model, history = run(patience=None, run_dir=tmp_path, resume=True)
    assert history == expected
    assert ['proto' in row for row in history] == [False] * 2 + [True] * 6
    assert_same(state(model), state(whole))


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('hop', 0),
        ('hop', 3),
        ('hop', 4),
        ('num_clusters', 0),
        ('warm_up', -1),
        ('cluster_every', 0),
        ('num_iters', 0),
        ('proto_weight', -1),
        ('alpha', -1),
    ],
)
def test_bad_arguments(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"'{name}'.*\(got {value}\)"):
        NCL(3, 3, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize('num_layers', [0, 1])
def test_too_few_layers_for_a_hop(num_layers: int) -> None:
    with pytest.raises(ValueError, match=rf"'hop'.*'num_layers', {num_layers}"):
        NCL(3, 3, num_layers=num_layers)
