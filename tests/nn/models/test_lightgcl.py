import gc
import weakref

import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency, contrast, tables
from conformance.graphs import RATES, block_data, random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models.lightgcl import LightGCL, low_rank
from pyg_darec.nn.models.lightgcn import LightGCN


class TestConformance(BackboneConformance):
    needs_layers = True
    expected_repr = (
        "LightGCL(30, 20, 8, num_layers=2, combine='sum', rank=5, "
        "contrast_on='sum')"
    )

    def make(self, data: HeteroData) -> LightGCL:
        return LightGCL.from_data(data, 8, ssl_weight=1e-3)


class TestLayersConformance(TestConformance):
    expected_repr = TestConformance.expected_repr.replace("'sum')", "'layers')")

    def make(self, data: HeteroData) -> LightGCL:
        return LightGCL.from_data(
            data, 8, ssl_weight=1e-3, contrast_on='layers'
        )


def truncated(graph: BipartiteGraph, rank: int) -> Tensor:
    """Both directions of the best approximation, from the whole SVD."""
    full, num = adjacency(graph), graph.num_users
    u, s, vt = torch.linalg.svd(full[:num, num:], full_matrices=False)
    out = torch.zeros_like(full)
    out[:num, num:] = (u[:, :rank] * s[:rank]) @ vt[:rank]
    return out + out.t()


@pytest.mark.parametrize('combine', ['sum', 'mean'])
@pytest.mark.parametrize('contrast_on', ['sum', 'layers'])
@pytest.mark.parametrize(('p', 'rank'), [(0.0, 5), (0.4, 3), (0.0, 99)])
def test_contrast_equals_the_formula(
    contrast_on: str, combine: str, p: float, rank: int
) -> None:
    torch.manual_seed(0)
    data, tau = random_data(), 0.3
    batch, graph = random_batch(data), as_graph(data)
    model = LightGCL.from_data(
        data,
        8,
        combine=combine,
        rank=rank,
        contrast_on=contrast_on,
        edge_dropout=p,
        ssl_weight=0.7,
        temperature=tau,
    ).double()
    torch.manual_seed(5)
    got = model.loss(data, batch)[1]['ssl']

    torch.manual_seed(5)
    user, item = graph.edge_index[0], graph.edge_index[1] + 30
    keep = torch.zeros(50, 50).double()
    dropped = torch.rand(graph.num_edges) < p if p else torch.zeros(1)
    keep[user, item] = keep[item, user] = 1 - dropped.double()
    adj, low = adjacency(graph) * keep, truncated(graph, rank)
    e = [tables(model)]
    e += [adj @ e[0], adj @ adj @ e[0]]
    g = [low @ e[0], low @ e[1]]
    if contrast_on == 'layers':
        pairs = list(zip(e[1:], g, strict=True))
    else:
        pairs = [(e[0] + g[0] + g[1], e[0] + e[1] + e[2])]
    # Users are averaged over B, items over the 2B of the batch.
    expected = sum(
        contrast(a, c, 30, batch[:1], tau) + contrast(a, c, 30, batch, tau)
        for a, c in pairs
    )
    assert torch.allclose(got, 0.35 * expected, rtol=1e-6)


@pytest.mark.parametrize('scale', [1.0, 30.0])  # inside and outside the clip
def test_inner_products_equal_the_formula(scale: float) -> None:
    torch.manual_seed(0)
    data, tau = random_data(), 0.3
    batch, graph = random_batch(data), as_graph(data)
    model = LightGCL.from_data(
        data, 8, similarity='dot', ssl_weight=0.7, temperature=tau
    ).double()
    with torch.no_grad():
        for param in model.parameters():
            param *= scale
    got = model.loss(data, batch)[1]['ssl']
    adj, low = adjacency(graph), truncated(graph, 5)
    e = [tables(model)]
    e += [adj @ e[0], adj @ adj @ e[0]]
    dots = (e[0] + low @ (e[0] + e[1])) @ (e[0] + e[1] + e[2]).t() / tau
    expected = torch.zeros(()).double()
    for side, start, num in ((batch[:1], 0, 30), (batch[1:], 30, 20)):
        node = torch.cat(side) + start
        own = dots[node, node].clamp(-5, 5)
        among = dots[node, start : start + num].logsumexp(dim=1)
        expected = expected + (among - own).sum() / node.numel()
    assert torch.allclose(got, 0.7 * expected, rtol=1e-6)


def test_what_is_scored_is_lightgcn() -> None:
    torch.manual_seed(0)
    data, batch = random_data(), random_batch(random_data())
    model = LightGCL.from_data(data, 8)
    plain = LightGCN.from_data(
        data, 8, num_layers=2, edge_dropout=0.0, reg_weight=1e-7
    )
    plain.load_state_dict(model.state_dict())
    for a, b in zip(model(data), plain(data), strict=True):
        assert torch.equal(a, b)
    own = plain.loss(data, batch)[1]
    terms = model.loss(data, batch)[1]
    assert set(terms) == {*own, 'ssl'}
    assert all(torch.equal(terms[name], own[name]) for name in own)


@pytest.mark.parametrize('size', [(30, 20), (20, 30), (1, 20), (30, 1), (1, 1)])
@pytest.mark.parametrize('extra', [0, 50])
def test_full_rank_is_the_matrix(size: tuple[int, int], extra: int) -> None:
    graph = as_graph(random_data(*size))
    p, q = low_rank(graph, min(size) + extra)
    expected = adjacency(graph)[: size[0], size[0] :]
    assert torch.allclose(p @ q.t(), expected, atol=1e-5)


def test_rank_of_blocks() -> None:
    graph = as_graph(block_data(num_blocks=20))
    p, q = low_rank(graph, 20)
    expected = truncated(graph, 20)[:120, 120:]
    assert p.shape == (120, 20)
    assert q.shape == (160, 20)
    assert torch.allclose(p @ q.t(), expected, atol=1e-5)
    assert torch.linalg.matrix_rank(expected) == 20


def test_no_edges_is_a_zero_view() -> None:
    data = random_data()
    data[RATES].edge_index = torch.empty(2, 0, dtype=torch.long)
    assert all(not factor.any() for factor in low_rank(as_graph(data), 5))


def test_factors_are_found_once_for_a_graph() -> None:
    graph = BipartiteGraph.from_data(random_data())
    first = low_rank(graph, 5)
    assert low_rank(graph, 5) is first
    assert low_rank(graph, 4)[0].shape == (30, 4)
    thin = graph.with_weight(graph.weight * (torch.arange(graph.num_edges) > 9))
    assert not torch.allclose(low_rank(thin, 5)[0], first[0])
    factor = weakref.ref(first[0])
    del graph, first
    gc.collect()
    assert factor() is None


def test_factors_are_reproducible_and_leave_no_trace() -> None:
    state = torch.get_rng_state()
    first, second = (
        low_rank(BipartiteGraph.from_data(random_data()), 5) for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
        assert a.dtype == torch.double
        assert not a.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    model = LightGCL.from_data(random_data(), 8)
    model.loss(random_data(), random_batch(random_data()))
    assert set(model.state_dict()) == set(model.embedding_names())


def test_trains_after_a_look_in_inference_mode() -> None:
    data = random_data()
    batch, model = random_batch(data), LightGCL.from_data(data, 8).double()
    with torch.inference_mode():
        model.loss(data, batch)
    model.loss(data, batch)[0].backward()
    assert model.user_embedding.weight.grad is not None


def test_resumed_run_equals_uninterrupted_run(tmp_path) -> None:
    def run(epochs: int, **kwargs) -> LightGCL:
        torch.manual_seed(0)
        data = random_data()  # a graph that was not seen before
        model = LightGCL.from_data(data, 8, edge_dropout=0.2)
        fit(
            model,
            data,
            epochs,
            32,
            eval_every=1,
            device='cpu',
            progress=False,
            **kwargs,
        )
        return model

    whole = run(4)
    run(2, run_dir=tmp_path)
    resumed = run(4, run_dir=tmp_path, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


@pytest.mark.parametrize(
    'kwargs',
    [
        {'num_layers': 0},
        {'rank': 0},
        {'contrast_on': 'nodes'},
        {'similarity': 'inner'},
    ],
)
def test_bad_arguments(kwargs: dict) -> None:
    name, value = next(iter(kwargs.items()))
    with pytest.raises(ValueError, match=rf"'{name}'.*\(got '?{value}'?\)"):
        LightGCL(3, 3, **kwargs)


def test_factors_of_weights_that_changed() -> None:
    graph = BipartiteGraph.from_data(random_data())
    view = graph.with_weight(graph.weight.clone())
    first = low_rank(view, 3)
    view.weight.mul_(2)
    p, q = low_rank(view, 3)
    torch.testing.assert_close(p @ q.t(), 2 * first[0] @ first[1].t())
    # A fused optimizer counts no version, and nothing piles up.
    weight = torch.nn.Parameter(graph.weight.clone())
    view = graph.with_weight(weight)
    optimizer = torch.optim.Adam([weight], 0.1, fused=True)
    for _ in range(3):
        low_rank(view, 20)
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    p, q = low_rank(view, 20)
    dense = torch.zeros(30, 20, dtype=torch.double)
    dense[tuple(graph.edge_index)] = weight.detach().double()
    torch.testing.assert_close(p @ q.t(), dense)
