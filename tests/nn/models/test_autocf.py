import copy
import pickle
from pathlib import Path

import pytest
import torch
from conformance.backbone import BackboneConformance
from conformance.dense import adjacency
from conformance.graphs import random_batch, random_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import KARAlign
from pyg_darec.nn.models.autocf import AutoCF
from pyg_darec.nn.objectives import BCE, BPR
from pyg_darec.train import fit


class TestConformance(BackboneConformance):
    expected_repr = (
        'AutoCF(30, 20, 8, num_layers=2, num_heads=4, num_seeds=2, '
        'mask_depth=1, mask_every=10, keep_rate=0.1, ssl_weight=5.0)'
    )

    def make(self, data: HeteroData) -> AutoCF:
        # The masks are random, and stay where 'renew' is never called.
        return AutoCF.from_data(
            data, 8, num_seeds=2, mask_depth=1, keep_rate=0.1
        )


def small_model(seed: int = 0, **kwargs: object) -> AutoCF:
    torch.manual_seed(seed)
    options = {'num_seeds': 2, 'mask_every': 3, **kwargs}
    return AutoCF.from_data(random_data(), 8, **options)


def dense_masks(
    model: AutoCF, graph: BipartiteGraph
) -> tuple[Tensor, Tensor, Tensor]:
    """The scores of all nodes, and the matrices of encoder and decoder."""
    adj = (adjacency(graph) > 0).double()
    num = graph.num_nodes
    x = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    around = adj + (adj @ adj).fill_diagonal_(0)
    mean = around @ x / around.sum(dim=1, keepdim=True).clamp(min=1)
    score = torch.cosine_similarity(x, mean).sigmoid().log()

    noise = -torch.empty(num).double().exponential_().log()
    rank = (score + noise).argsort(descending=True).tolist()
    masked = set(rank[: model.num_seeds])
    for _ in range(model.mask_depth - 1):
        masked |= set(
            adj[sorted(masked)].sum(dim=0).nonzero().flatten().tolist()
        )
    adj[sorted(masked)] = 0
    adj[:, sorted(masked)] = 0
    scale = adj.sum(dim=1).clamp(min=1) ** -0.5
    encoder = scale[:, None] * adj * scale

    masked |= set(torch.randint(num, (int(num * model.keep_rate),)).tolist())
    node = torch.tensor(sorted(masked))
    size = 2, 2 * graph.num_edges
    a, b = node[torch.randint(len(node), size)]
    decoder = adj + torch.eye(num)
    decoder[a, b] = decoder[b, a] = 1
    return score, encoder, decoder.clamp(max=1)


def dense_output(model: AutoCF, encoder: Tensor, decoder: Tensor) -> Tensor:
    x = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    layers = [x]
    for _ in range(model.num_layers):
        layers.append(encoder @ layers[-1])
    for projections in zip(model.query, model.key, model.value, strict=True):
        heads = []
        x = layers[-1]
        for rows in torch.arange(model.dim).chunk(model.num_heads):
            q, k, v = (x @ p.weight[rows].t() for p in projections)
            weight = (q @ k.t()).clamp(-10, 10).exp() * decoder
            heads.append(weight / (weight.sum(dim=1, keepdim=True) + 1e-8) @ v)
        layers.append(torch.cat(heads, dim=1))
    return torch.stack(layers).sum(dim=0)


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        {'mask_depth': 1, 'num_heads': 1},
        {'mask_depth': 3, 'num_seeds': 1, 'keep_rate': 0.0},
        {'num_layers': 0, 'num_decoder_layers': 2, 'keep_rate': 1.0},
    ],
)
def test_loss_and_gradients_equal_the_formulas(kwargs: dict) -> None:
    data = random_data()
    graph, batch = as_graph(data), random_batch(data)
    model = small_model(ssl_weight=0.7, reg_weight=0.0, **kwargs).double()
    torch.manual_seed(5)
    model.renew(graph, 1, 3)
    loss, terms = model.loss(graph, batch)

    torch.manual_seed(5)  # the same random numbers, in the same order
    score, encoder, decoder = dense_masks(model, graph)
    assert 0 < encoder.count_nonzero() < 2 * graph.num_edges
    user, item = dense_output(model, encoder, decoder).split([30, 20])
    for a, b in zip(model(data), (user, item), strict=True):
        assert torch.allclose(a, b, atol=1e-6)

    u, pos, _ = batch
    repel = [
        (user[u] @ item.t()).exp().sum(dim=1).log().mean(),
        (user[u.unique()] @ user.t()).exp().sum(dim=1).log().mean(),
        (item[pos.unique()] @ item.t()).exp().sum(dim=1).log().mean(),
    ]
    expected = {
        'rec': -(user[u] * item[pos]).sum(dim=1).mean(),
        'contrast': repel[0] + 0.7 * (repel[1] + repel[2]),
        'infomax': -score.mean(),
    }
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        assert torch.allclose(term, expected[name], atol=1e-6), name

    params = list(model.parameters())
    grads = torch.autograd.grad(loss, params)
    dense = torch.autograd.grad(sum(expected.values()), params)
    for a, b in zip(grads, dense, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_evaluation_is_of_the_whole_graph() -> None:
    data = random_data()
    model = small_model().double().eval()
    norm = adjacency(as_graph(data))
    expected = dense_output(model, norm, norm > 0).split([30, 20])
    for a, b in zip(model(data), expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    terms = model.loss(data, random_batch(data))[1]
    assert terms.keys() == {'rec', 'contrast', 'reg'}


def test_edge_weights_count_in_training() -> None:
    graph, batch = as_graph(random_data()), random_batch(random_data())
    losses = []
    for weight in (graph.weight, 3 * graph.weight):
        model = small_model()
        torch.manual_seed(5)
        losses.append(model.loss(graph.with_weight(weight), batch)[0])
    assert not losses[0].isclose(losses[1])


def test_evaluation_follows_the_graph() -> None:
    model = small_model().eval()
    graph, other = as_graph(random_data()), as_graph(random_data(seed=1))
    first, second = model(graph)[0], model(other)[0]
    assert not first.equal(second)
    assert model(graph)[0].equal(first)
    assert not model(graph.with_weight(2 * graph.weight))[0].equal(first)


def test_when_masks_are_renewed() -> None:
    graph, batch = as_graph(random_data()), random_batch(random_data())
    model = small_model()
    seen = []
    for step in range(7):
        model.renew(graph, 1, step)
        user, _ = model(graph)
        terms = [model.loss(graph, batch)[1] for _ in range(2)]
        assert terms[0] == terms[1]  # the loss changes no state
        assert ('infomax' in terms[0]) == (step in (0, 3, 6))
        seen.append(user)
    assert seen[0].equal(seen[2])
    assert not seen[2].equal(seen[3])
    assert seen[3].equal(seen[5])
    assert not seen[5].equal(seen[6])


def test_masks_without_renew() -> None:
    data = random_data()
    graph, batch = as_graph(data), random_batch(data)
    model = small_model()
    terms = model.loss(graph, batch)[1]
    assert 'infomax' not in terms
    # Equal interactions, as of a graph that is moved in every step.
    same = BipartiteGraph.from_data(data)
    for known in (data, same):
        assert model.loss(known, batch)[1] == terms

    model.renew(graph, 1, 0)
    other = as_graph(random_data(num_edges=90))
    terms = model.loss(other, batch)[1]
    assert 'infomax' not in terms  # those masks were of another graph
    assert model.loss(other, batch)[1] == terms


def test_more_seeds_than_nodes() -> None:
    graph, batch = as_graph(random_data()), random_batch(random_data())
    model = small_model(num_seeds=1000)
    model.renew(graph, 1, 0)
    assert model.loss(graph, batch)[0].isfinite()
    # All edges are hidden: what the encoder passes on is zero.
    pair = model.user_embedding.weight, model.item_embedding.weight
    layer = torch.cat(model._masked.encoder.propagate(*pair))
    assert layer.eq(0).all()


def test_empty_batch_adds_nothing() -> None:
    data = random_data()
    terms = small_model().loss(data, random_batch(data, 0))[1]
    assert terms['rec'] == terms['contrast'] == 0


def test_a_copy_is_without_the_graph() -> None:
    data = random_data()
    model = small_model()
    model.loss(data, random_batch(data))
    model.eval()(data)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other._masked is other._full is None
        for a, b in zip(other(data), model(data), strict=True):
            assert a.equal(b)
    assert model._masked is not None


class Interrupted(Exception):
    pass


def test_interrupted_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    # Nothing is held out, so that the last weights are those that are kept.
    graph = BipartiteGraph(as_graph(random_data()).edge_index, 30, 20)
    kwargs = {
        'batch_size': 20,
        'eval_every': 1,
        'device': 'cpu',
        'progress': False,
    }
    whole = small_model()
    fit(whole, graph, 4, **kwargs)

    killed = small_model()
    renew = killed.renew

    def stop(graph: BipartiteGraph, epoch: int, step: int) -> None:
        if (epoch, step) == (3, 2):
            raise Interrupted
        renew(graph, epoch, step)

    killed.renew = stop
    with pytest.raises(Interrupted):
        fit(killed, graph, 4, run_dir=tmp_path, **kwargs)
    torch.rand(3)
    resumed = small_model(seed=1)
    fit(resumed, graph, 4, run_dir=tmp_path, resume=True, **kwargs)
    for name, value in whole.state_dict().items():
        assert value.equal(resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    'kwargs',
    [
        {'num_decoder_layers': 0},
        {'num_heads': 0},
        {'num_heads': 3},
        {'num_seeds': 0},
        {'mask_depth': 0},
        {'mask_every': 0},
        {'keep_rate': 1.1},
        {'ssl_weight': -1.0},
    ],
)
def test_bad_arguments(kwargs: dict) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'"):
        AutoCF(3, 3, **kwargs)


def test_has_no_other_objective() -> None:
    model = AutoCF(3, 4, 8)
    with pytest.raises(AttributeError, match=r"'AutoCF' has.*\(got BCE\(\)\)"):
        model.objective = BCE()
    assert model.objective == BPR()
    with pytest.raises(AttributeError, match='cannot be replaced'):
        KARAlign(model, 12).objective = BCE()
