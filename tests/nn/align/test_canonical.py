"""The start of the default form of DaRec, against its formula in NumPy."""

import numpy as np
import pytest
import torch
from conformance.canonical import formula
from conformance.graphs import telling_data

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import DaRecAlign, canonical_maps
from pyg_darec.nn.models import LightGCN

USERS, ITEMS = 30, 20


def random_graph(seed: int = 0) -> BipartiteGraph:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randperm(USERS * ITEMS, generator=generator)[:150]
    return BipartiteGraph(
        torch.stack([cells // ITEMS, cells % ITEMS]), USERS, ITEMS
    )


def vectors(width: int, size: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, width, generator=generator)
    return x * torch.linspace(2, 0.1, width)


@pytest.mark.parametrize('dim', [1, 4])
@pytest.mark.parametrize('widths', [(6, 6), (7, 4)])
def test_equals_the_formula(dim: int, widths: tuple[int, int]) -> None:
    graph = random_graph()
    x, y = vectors(widths[0], USERS, 1), vectors(widths[1], ITEMS, 2)
    user, item = canonical_maps(graph, x, y, dim)
    assert user is not None
    assert item is not None
    assert (user.shape, item.shape) == ((dim, widths[0]), (dim, widths[1]))
    expected = formula(graph, x.double().numpy(), y.double().numpy(), dim)
    # A direction may point either way, on both sides.
    sign = np.sign((user.numpy() * expected[0]).sum(1, keepdims=True))
    assert np.allclose(sign * user.numpy(), expected[0], atol=1e-5)
    assert np.allclose(sign * item.numpy(), expected[1], atol=1e-5)


def test_one_side_alone() -> None:
    graph, y = random_graph(), vectors(5, ITEMS, 2)
    zeros = torch.zeros(USERS, 5)
    stand_in = graph.propagate(zeros, y)[0]
    user, item = canonical_maps(graph, None, y, 3)
    assert user is None
    assert item is not None
    expected = formula(graph, stand_in.double().numpy(), y.double().numpy(), 3)[
        1
    ]
    assert np.allclose(abs(item.numpy()), abs(expected), atol=1e-4)
    assert canonical_maps(graph, None, None, 3) == (None, None)
    x = vectors(5, USERS, 1)
    user, item = canonical_maps(graph, x, None, 3)
    assert item is None
    assert user is not None
    assert torch.allclose(
        (x @ user.t()).square().sum(1).mean(), torch.tensor(1.0)
    )


def test_rows_without_a_correlation_are_zero() -> None:
    user, item = canonical_maps(
        random_graph(), vectors(5, USERS, 1), vectors(3, ITEMS, 2), 8
    )
    assert user is not None
    assert item is not None
    for weight in (user, item):
        assert weight[:3].any(dim=1).all()
        assert not weight[3:].any()


def test_an_untrained_model_recommends_by_profiles() -> None:
    data = telling_data()
    graph = as_graph(data)
    model = DaRecAlign(LightGCN.from_data(data, 8, num_layers=0), 12).eval()
    with torch.no_grad():
        for name in model.model.embedding_names():
            model.model.get_parameter(name).zero_()
        user, item = model(data)
    score = user @ item.t()
    is_seen = torch.zeros_like(score, dtype=torch.bool)
    is_seen[graph.edge_index[0], graph.edge_index[1]] = True
    higher = score[is_seen].unsqueeze(1) > score[~is_seen]
    assert higher.double().mean() > 0.6  # one half by chance


def test_only_the_first_graph_of_an_untrained_model_counts() -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), 12)
    model(data)
    assert model.injection is not None
    weight = model.injection.user_weight
    start = weight.detach().clone()
    with torch.no_grad():
        weight += 1
    model(data)
    assert torch.equal(weight, start + 1)

    other = DaRecAlign(LightGCN.from_data(data, 8), 12)
    other.load_state_dict(model.state_dict())
    other(data)
    assert other.injection is not None
    assert torch.equal(other.injection.user_weight, start + 1)

    model.reset_parameters()
    model(data)
    assert torch.equal(weight, start)
