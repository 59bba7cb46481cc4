import dataclasses

import pytest
import torch
from conformance.graphs import random_batch, random_data

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.objectives import SampledSoftmax


def reference(objective, graph, user, item, batch):  # type: ignore[no-untyped-def]
    """Row after row, candidate after candidate."""
    _, pos, neg = (x.tolist() for x in batch)
    candidates = {'batch': pos, 'uniform': neg, 'both': pos + neg}
    degree = [max(int(d), 1) for d in graph.item_degree]

    def probability(i):  # type: ignore[no-untyped-def]
        if not objective.correction or objective.negatives == 'uniform':
            return 1.0
        q = degree[i] / graph.num_edges
        return q if objective.negatives == 'batch' else q + 1 / len(degree)

    def value(u, i):  # type: ignore[no-untyped-def]
        score = user[u] @ item[i]
        if objective.similarity == 'cosine':
            score = score / user[u].norm() / item[i].norm()
        return (score / objective.temperature).exp() / probability(i)

    total = 0.0
    for u, p in zip(batch[0].tolist(), pos, strict=True):
        wrong = sum(
            value(u, c) for c in candidates[objective.negatives] if c != p
        )
        total += -(value(u, p) / (value(u, p) + wrong)).log()
    return total / len(pos)


@pytest.mark.parametrize('correction', [True, False])
@pytest.mark.parametrize('negatives', ['batch', 'uniform', 'both'])
@pytest.mark.parametrize('similarity', ['dot', 'cosine'])
def test_equals_the_formula(similarity, negatives, correction) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    data = random_data()
    graph, batch = as_graph(data), random_batch(data)
    user, item = torch.randn(30, 4).double(), torch.randn(20, 4).double()
    objective = SampledSoftmax(0.4, similarity, negatives, correction)
    got = objective(graph, user, item, batch)
    expected = reference(objective, graph, user, item, batch)
    assert graph.item_degree[batch[1]].min() == 0  # such items are in it
    assert torch.allclose(got, expected, atol=1e-6)


def test_popular_items_are_not_penalised() -> None:
    """Over the batches of an epoch, candidates have the weights of a softmax
    over all items.
    """
    torch.manual_seed(0)
    index = (torch.rand(2, 3000) ** 2 * 40).long()
    graph = BipartiteGraph(index, 40, 40)
    assert graph.item_degree.min() > 0
    pos = graph.edge_index[1]
    weight = pos.bincount() / SampledSoftmax()._log_q(graph).exp()
    assert torch.allclose(weight / pos.numel(), torch.ones(40))


def test_graph_without_edges() -> None:
    graph = BipartiteGraph(torch.empty(2, 0, dtype=torch.long), 3, 4)
    batch = torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([2, 3])
    for negatives in ('batch', 'uniform', 'both'):
        objective = SampledSoftmax(negatives=negatives)
        assert objective(graph, torch.eye(3), torch.eye(4)[:, :3], batch) > 0


def test_nothing_to_compare() -> None:
    """The only candidate is the positive itself."""
    graph = BipartiteGraph(torch.tensor([[0, 1], [0, 0]]), 2, 1)
    batch = torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0, 0])
    user, item = torch.ones(2, 3, requires_grad=True), torch.ones(1, 3)
    for negatives in ('batch', 'uniform', 'both'):
        loss = SampledSoftmax(negatives=negatives)(graph, user, item, batch)
        assert loss == 0
        assert not torch.autograd.grad(loss, user)[0].any()


@pytest.mark.parametrize(
    ('kwargs', 'got'),
    [
        ({'temperature': 0.0}, '0.0'),
        ({'similarity': 'euclid'}, "'euclid'"),
        ({'negatives': 'hard'}, "'hard'"),
    ],
)
def test_bad_arguments(kwargs: dict, got: str) -> None:
    name = next(iter(kwargs))
    with pytest.raises(ValueError, match=rf"'{name}'.*\(got {got}\)"):
        SampledSoftmax(**kwargs)


def test_is_frozen_and_prints_its_settings() -> None:
    objective = SampledSoftmax(0.2)
    assert repr(objective) == (
        "SampledSoftmax(temperature=0.2, similarity='cosine', "
        "negatives='batch', correction=True)"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        objective.temperature = 0.1  # type: ignore[misc]
