import warnings

import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import (
    METADATA,
    random_batch,
    random_data,
    telling_data,
)
from torch import Tensor
from torch.nn import Embedding, Module
from torch_geometric.data import HeteroData
from torch_geometric.nn import GraphSAGE, to_hetero
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec.nn.align import DaRecAlign
from pyg_darec.nn.align.darec import Preset
from pyg_darec.nn.functional import cluster_means, kmeans, match_centers
from pyg_darec.nn.models import LightGCN


class TestConformance(AlignerConformance):
    expected_repr = (
        "DaRecAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        "llm_dim=12, preset='paper', weight=0.1, num_samples=4096, "
        'num_clusters=4)'
    )

    def wrap(self, model: Module) -> DaRecAlign:
        return DaRecAlign(model, 12, preset='paper')


def mlp(encoder: Module, x: Tensor) -> Tensor:
    w = {name: p.detach().double() for name, p in encoder.named_parameters()}
    hidden = x @ w['weight0'].t() + w['bias0']
    hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
    return hidden @ w['weight1'].t() + w['bias1']


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def pairwise_uniformity(x: Tensor) -> Tensor:
    distance = (unit(x)[:, None] - unit(x)[None, :]).square().sum(-1)
    off = ~torch.eye(len(x), dtype=torch.bool)
    return torch.exp(-2 * distance[off]).mean().log()


@pytest.mark.parametrize('matching', ['greedy', 'optimal'])
def test_terms_equal_the_formulas(matching: str) -> None:
    """METHOD: written out in float64 with N x N matrices."""
    torch.manual_seed(0)
    data, weight = random_data(), 0.3
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = DaRecAlign(
        backbone, 12, weight=weight, preset='paper', matching=matching
    )
    parts = model.structure
    assert parts is not None
    cf = torch.cat(backbone(data)).detach().double()
    llm = torch.cat([data['user'].llm_x, data['item'].llm_x]).double()
    cf_sp, cf_sh = mlp(parts.cf_specific, cf), mlp(parts.cf_shared, cf)
    llm_sp, llm_sh = mlp(parts.llm_specific, llm), mlp(parts.llm_shared, llm)

    expected = {
        'or': (unit(cf_sp) * unit(cf_sh)).sum(1).square().mean()
        + (unit(llm_sp) * unit(llm_sh)).sum(1).square().mean(),
        'uni': pairwise_uniformity(cf_sp) + pairwise_uniformity(llm_sp),
        'glo': (unit(cf_sh) @ unit(cf_sh).t() - unit(llm_sh) @ unit(llm_sh).t())
        .square()
        .mean(),
    }
    torch.manual_seed(5)
    center = []
    for part in (cf_sh, llm_sh):
        cluster = kmeans(part.float(), 4)
        center.append(cluster_means(part, cluster, 4)[0])
    c, p = center
    p = p[match_centers(c, p, matching)]  # type: ignore[arg-type]
    similarity = unit(c) @ unit(p).t()
    off = ~torch.eye(4, dtype=torch.bool)
    expected['loc'] = (similarity.diagonal() - 1).square().mean()
    expected['loc'] = expected['loc'] + similarity[off].square().mean()

    torch.manual_seed(5)
    _, terms = model.loss(data, random_batch(data))
    for name, value in expected.items():
        got = terms[name].double()
        assert torch.allclose(got, weight * value, atol=1e-6), name


@pytest.mark.parametrize('term', ['or', 'uni', 'glo', 'loc'])
def test_ablations(term: str) -> None:
    torch.manual_seed(0)
    data = random_data()
    backbone = LightGCN.from_data(data, 8)
    model = DaRecAlign(backbone, 12, preset='paper', **{f'{term}_weight': 0})
    assert set(model.loss(data, random_batch(data))[1]) == {
        'bpr',
        'reg',
        'or',
        'uni',
        'glo',
        'loc',
    } - {term}


def test_reduction_of_the_global_term() -> None:
    data = random_data()
    values = []
    for reduction in ('mean', 'sum'):
        torch.manual_seed(0)
        backbone = LightGCN.from_data(data, 8, edge_dropout=0)
        model = DaRecAlign(  # type: ignore[arg-type]
            backbone, 12, preset='paper', glo_reduction=reduction
        )
        values.append(model.loss(data, random_batch(data))[1]['glo'])
    assert torch.allclose(values[1], 50**2 * values[0])


def test_sampling() -> None:
    data = random_data()
    backbone = LightGCN.from_data(data, 8, edge_dropout=0)
    sampled = DaRecAlign(
        backbone, 12, preset='paper', num_samples=10, loc_weight=0
    )
    batch = random_batch(data)
    losses = {float(sampled.loss(data, batch)[0].detach()) for _ in range(5)}
    assert len(losses) == 5
    for num in (None, 50, 10_000):  # every node, as N-hat is larger than N
        assert sampled.structure is not None
        sampled.structure.num_samples = num
        losses = {
            float(sampled.loss(data, batch)[0].detach()) for _ in range(3)
        }
        assert len(losses) == 1


def test_what_is_scored() -> None:
    data = random_data()
    backbone = LightGCN.from_data(data, 8).eval()
    cf = torch.cat(backbone(data))
    for score, width in (('backbone', 8), ('shared', 6), ('both', 12)):
        model = DaRecAlign(  # type: ignore[arg-type]
            backbone, 12, preset='paper', dim=6, score=score
        ).eval()
        both = model.structure
        assert both is not None
        parts = {
            'backbone': [cf],
            'shared': [mlp(both.cf_shared, cf.double())],
            'both': [
                mlp(both.cf_specific, cf.double()),
                mlp(both.cf_shared, cf.double()),
            ],
        }[score]
        out = torch.cat(model(data))
        assert out.size(1) == model.out_dim == width
        expected = torch.cat(parts, dim=1).to(out.dtype)
        assert torch.allclose(out, expected, atol=1e-5)
        # The parts are those of what is aligned, whatever is scored.
        found = torch.cat(model.parts(data)['cf_shared'])
        wanted = mlp(both.cf_shared, cf.double()).to(found.dtype)
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    'kwargs',
    [
        {'score': 'shared'},
        {'score': 'both', 'preset': 'paper', 'weight': 0.0},
        {'score': 'both', 'preset': 'paper', 'or_weight': 0, 'uni_weight': 0},
        {
            'score': 'shared',
            'preset': 'paper',
            'or_weight': 0,
            'glo_weight': 0,
            'loc_weight': 0,
        },
    ],
)
def test_score_of_parts_that_nothing_trains(kwargs: dict) -> None:
    with pytest.raises(ValueError, match=r"'score'.*no term trains"):
        DaRecAlign(LightGCN(3, 3, 8), 12, **kwargs)


def test_more_clusters_than_nodes() -> None:
    data = random_data()
    backbone = LightGCN.from_data(data, 8)
    model = DaRecAlign(backbone, 12, preset='paper', num_clusters=51)
    with pytest.raises(ValueError, match=r"'num_clusters'.*nodes, 50.*51"):
        model.loss(data, random_batch(data))


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_constant_profiles_of_the_literal_form(value: float) -> None:
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].llm_x = torch.full_like(data[kind].llm_x, value)
    backbone = LightGCN.from_data(data, 8)
    model = DaRecAlign(backbone, 12, preset='paper')
    loss, _ = model.loss(data, random_batch(data))
    loss.backward()
    assert loss.isfinite()
    for param in model.parameters():
        assert param.grad is not None
        assert param.grad.isfinite().all()


PRESETS = pytest.mark.parametrize('preset', ['default', 'paper'])


@PRESETS
def test_wraps_pyg_lightgcn(preset: Preset) -> None:
    model = PyGLightGCN(50, 8, num_layers=2)
    train(DaRecAlign(model, llm_dim=12, preset=preset), telling_data())


@PRESETS
def test_wraps_to_hetero_graph_sage(preset: Preset) -> None:
    data = telling_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    model = to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA)
    train(DaRecAlign(model, llm_dim=12, preset=preset), data)


@PRESETS
def test_wraps_a_plain_module(preset: Preset) -> None:
    class Plain(Module):
        def __init__(self) -> None:
            super().__init__()
            self.users, self.items = Embedding(30, 8), Embedding(20, 8)

    def embed(model: Plain, data: HeteroData) -> tuple[Tensor, Tensor]:
        return model.users.weight, model.items.weight

    model = DaRecAlign(Plain(), llm_dim=12, preset=preset, embed=embed)
    train(model, telling_data())


def train(model: DaRecAlign, data: HeteroData) -> None:
    """The optimizer is made first: open widths must not hide parameters."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    batch = random_batch(data)
    losses = []
    for _ in range(30):
        loss, _ = model.loss(data, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    for name, param in model.named_parameters():
        assert param.grad is not None, name
    user, item = model(data)
    assert (user.size(0), item.size(0)) == (30, 20)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'matching': 'some'}, 'matching'),
        ({'glo_reduction': 'max'}, 'glo_reduction'),
        ({'score': 'llm'}, 'score'),
        ({'preset': 'best'}, 'preset'),
        ({'rank': 0}, 'rank'),
        ({'num_neighbors': -1}, 'num_neighbors'),
        ({'profile_weight': -0.1}, 'profile_weight'),
        ({'neighbor_weight': float('inf')}, 'neighbor_weight'),
        ({'num_samples': 0}, 'num_samples'),
        ({'num_samples': 3}, 'num_samples'),
        ({'uni_weight': float('nan')}, 'uni_weight'),
        ({'glo_weight': -1.0}, 'glo_weight'),
        ({'num_clusters': 0}, 'num_clusters'),
        ({'num_iters': 0}, 'num_iters'),
        ({'num_layers': 0, 'preset': 'paper'}, 'num_layers'),
        ({'dim': -3}, 'dim'),
    ],
)
def test_bad_arguments(kwargs: dict, match: str) -> None:
    with pytest.raises(ValueError, match=f"'{match}'"):
        DaRecAlign(LightGCN(3, 3), 12, **kwargs)


@pytest.mark.parametrize(
    'kwargs',
    [
        {'num_clusters': 8},
        {'uni_weight': 0.0, 'num_samples': None},
        {'preset': 'paper', 'rank': 8},
        {'preset': 'paper', 'num_neighbors': 3},
        {'weight': 0.0, 'dim': 5},
    ],
    ids=str,
)
def test_options_without_effect(kwargs: dict) -> None:  # type: ignore[type-arg]
    named = {k: v for k, v in kwargs.items() if k not in ('preset', 'weight')}
    preset = kwargs.get('preset', 'default')
    model = LightGCN(30, 20, 8)
    with pytest.warns(UserWarning, match='have no effect') as caught:
        DaRecAlign(model, 12, **kwargs)
    assert all(f'{k}={v}' in str(caught[0].message) for k, v in named.items())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        DaRecAlign(
            model, 12, **(kwargs | {'weight': 0.1, 'profile_weight': 1.0})
        )
        DaRecAlign(model, 12, preset=preset)


def test_bad_model() -> None:
    with pytest.raises(TypeError, match='pass embed='):
        DaRecAlign(torch.nn.Linear(2, 2), 12)
