import copy
import pickle

import pytest
import torch
from conformance.graphs import RATES, random_data
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv

from pyg_darec.graph import BipartiteGraph


def make(num_users: int, num_items: int, num_edges: int, seed: int = 0):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.stack(
        [
            torch.randint(n, (num_edges,), generator=generator)
            for n in (num_users, num_items)
        ]
    )
    return BipartiteGraph(edge_index, num_users, num_items)


def both_ways(graph: BipartiteGraph) -> Tensor:
    user, item = graph.edge_index[0], graph.edge_index[1] + graph.num_users
    edge_index = torch.stack([user, item])
    return torch.cat([edge_index, edge_index.flip(0)], dim=1)


@settings(max_examples=40)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 60),
    st.integers(0, 10_000),
)
def test_equals_lgconv(
    num_users: int, num_items: int, num_edges: int, seed: int
) -> None:
    graph = make(num_users, num_items, num_edges, seed)
    torch.manual_seed(seed)
    x = torch.randn(graph.num_nodes, 5, requires_grad=True)
    probe = torch.randn_like(x)
    expected = LGConv()(x, both_ways(graph))
    (grad,) = torch.autograd.grad((expected * probe).sum(), x)
    user, item = x.split([num_users, num_items])
    out = torch.cat(graph.propagate(user, item))
    assert torch.allclose(out, expected, atol=1e-5)
    (ours,) = torch.autograd.grad((out * probe).sum(), x)
    assert torch.allclose(ours, grad, atol=1e-5)


def test_gradcheck_in_inputs_and_weights() -> None:
    graph = make(4, 5, 9)
    user = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    item = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(
        graph.num_edges, dtype=torch.float64, requires_grad=True
    )
    assert gradcheck(
        lambda u, i, w: graph.with_weight(w).propagate(u, i),
        (user, item, weight),
    )


@pytest.mark.parametrize(
    ('user', 'item'), [((4, 2), (3, 2)), ((3, 2), (5, 2)), ((3,), (4,))]
)
def test_embeddings_of_other_nodes(
    user: tuple[int, ...], item: tuple[int, ...]
) -> None:
    graph = BipartiteGraph(torch.tensor([[0, 1, 2], [0, 3, 1]]), 3, 4)
    with pytest.raises(ValueError, match=r'3 users and 4 items \(got shapes'):
        graph.propagate(torch.ones(user), torch.ones(item))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    graph = make(6, 7, 30)
    user, item = torch.randn(6, 4), torch.randn(7, 4)
    out = graph.propagate(user.to(dtype), item.to(dtype))
    for got, exact in zip(out, graph.propagate(user, item), strict=True):
        assert got.dtype == dtype
        assert torch.allclose(got.float(), exact, atol=0.05)


def test_edges_are_unique_and_sorted() -> None:
    edge_index = torch.tensor([[2, 0, 2, 0, 1], [1, 2, 1, 0, 1]])
    graph = BipartiteGraph(edge_index.int(), 3, 3)
    assert graph.edge_index.tolist() == [[0, 0, 1, 2], [0, 2, 1, 1]]
    assert graph.user_degree.tolist() == [2, 1, 1]
    assert graph.item_degree.tolist() == [1, 2, 1]
    assert repr(graph) == (
        'BipartiteGraph(num_users=3, num_items=3, num_edges=4)'
    )


def test_drop_edges() -> None:
    torch.manual_seed(0)
    graph = make(50, 60, 2000)
    assert graph.drop_edges(0.0) is graph
    view = graph.drop_edges(0.3)
    kept = view.weight != 0
    assert 0.6 < kept.float().mean() < 0.8
    assert torch.equal(view.weight[kept], graph.weight[kept])
    assert view.edge_index is graph.edge_index
    assert view._by_item is graph._by_item
    user, item = torch.randn(50, 4), torch.randn(60, 4)
    dense = torch.zeros(50, 60)
    dense[tuple(graph.edge_index)] = view.weight
    out_user, out_item = view.propagate(user, item)
    assert torch.allclose(out_user, dense @ item, atol=1e-5)
    assert torch.allclose(out_item, dense.t() @ user, atol=1e-5)
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"'p' needs to be in \[0, 1\)"):
            graph.drop_edges(p)


@pytest.mark.parametrize('fused', [False, True])
def test_weights_that_are_trained(fused: bool) -> None:
    graph = BipartiteGraph.from_data(random_data())
    weight = torch.nn.Parameter(graph.weight.clone())
    # A fused one counts no version of what it changes.
    optimizer = torch.optim.Adam([weight], 0.1, fused=fused)
    view = graph.with_weight(weight)
    compiled = torch.compile(view.propagate, backend='eager')
    user, item = torch.randn(30, 4), torch.randn(20, 4)
    for _ in range(3):
        pair = view.propagate(user, item)
        fresh = graph.with_weight(weight.detach().clone())
        expected = fresh.propagate(user, item)
        for own in (pair, compiled(user, item)):
            for x, y in zip(own, expected, strict=True):
                torch.testing.assert_close(x, y)
        sum(x.square().sum() for x in pair).backward()
        optimizer.step()


def test_copies_of_changed_weights() -> None:
    graph = BipartiteGraph.from_data(random_data())
    view = graph.with_weight(graph.weight.clone())
    user, item = torch.randn(30, 4), torch.randn(20, 4)
    view.propagate(user, item)
    view.weight.mul_(2)
    for copied in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        pairs = view.propagate(user, item), copied.propagate(user, item)
        for x, y in zip(*pairs, strict=True):
            torch.testing.assert_close(x, y)


def test_weights_are_not_assigned() -> None:
    """What was made of the old ones would be used on."""
    graph = BipartiteGraph(torch.tensor([[0, 1], [1, 0]]), 2, 2)
    with pytest.raises(AttributeError):
        graph.weight = torch.ones(2)  # type: ignore[misc]


def test_with_weight_of_another_shape() -> None:
    graph = make(4, 5, 9)
    with pytest.raises(ValueError, match="'weight' needs shape"):
        graph.with_weight(torch.ones(3))


def test_from_data() -> None:
    data = random_data()
    graph = BipartiteGraph.from_data(data)
    assert (graph.num_users, graph.num_items) == (30, 20)
    assert graph.llm_x['user'] is data['user'].llm_x
    assert set(graph.edge_label_index) == {'val', 'test'}


def test_from_data_of_another_relation() -> None:
    data = HeteroData()
    data['customer'].num_nodes, data['product'].num_nodes = 3, 4
    data['customer', 'buys', 'product'].edge_index = torch.tensor([[2], [3]])
    data['customer'].text = torch.randn(3, 2)
    with pytest.raises(ValueError, match=r'no relation.*edge_type=\.\.\.'):
        BipartiteGraph.from_data(data)
    graph = BipartiteGraph.from_data(
        data, ('customer', 'buys', 'product'), llm_attr='text'
    )
    assert graph.num_items == 4
    assert graph.llm_x['user'].shape == (3, 2)


def test_from_incomplete_data() -> None:
    data = HeteroData()
    data[RATES].edge_index = torch.tensor([[0], [0]])
    with pytest.raises(ValueError, match=r"data\['user'\].num_nodes"):
        BipartiteGraph.from_data(data)
    data['user'].num_nodes = 2
    with pytest.raises(ValueError, match=r"data\['item'\].num_nodes"):
        BipartiteGraph.from_data(data)
    data['item'].llm_x = torch.randn(7, 3)
    assert BipartiteGraph.from_data(data).num_items == 7
    data['item'].llm_x = data['item'].llm_x.numpy()
    with pytest.raises(ValueError, match=r"7 rows .got 'ndarray'"):
        BipartiteGraph.from_data(data)
    del data[RATES].edge_index
    data[RATES].time = torch.tensor([3])
    with pytest.raises(ValueError, match="has no 'edge_index'"):
        BipartiteGraph.from_data(data)


@pytest.mark.parametrize(
    ('edge_index', 'match'),
    [
        (torch.tensor([[0, 3], [0, 0]]), r'user.*there are 3 \(got index 3\)'),
        (torch.tensor([[0, 0], [0, 4]]), r'item.*there are 4 \(got index 4\)'),
        (torch.tensor([[0, -1], [0, 0]]), r'user.*\(got index -1\)'),
        (torch.tensor([[0.0], [0.0]]), 'integer tensor'),
        (torch.tensor([[True], [True]]), 'integer tensor'),
        (torch.tensor([0, 1]), 'integer tensor'),
        (torch.zeros(3, 2, dtype=torch.long), 'integer tensor'),
    ],
)
def test_bad_index(edge_index: Tensor, match: str) -> None:
    with pytest.raises(ValueError, match=f'The train interactions.*{match}'):
        BipartiteGraph(edge_index, 3, 4)
    good = torch.tensor([[0], [0]])
    with pytest.raises(ValueError, match=f'The test interactions.*{match}'):
        BipartiteGraph(good, 3, 4, edge_label_index={'test': edge_index})


@pytest.mark.parametrize(
    ('x', 'match'),
    [
        (torch.randn(4, 2), r'with 3 rows \(got .* of shape \(4, 2\)\)'),
        (torch.randn(3), 'floating-point tensor with 3 rows'),
        (torch.ones(3, 2).int(), r'floating-point.*got torch.int32'),
        (torch.tensor([[1.0], [torch.inf], [0]]), 'row 1'),
        (torch.tensor([[torch.inf], [-torch.inf], [0]]), 'row 0'),
    ],
)
def test_bad_embeddings(x: Tensor, match: str) -> None:
    with pytest.raises(ValueError, match=f'embeddings of users.*{match}'):
        BipartiteGraph(torch.tensor([[0], [0]]), 3, 4, llm_x={'user': x})


def test_to() -> None:
    graph = BipartiteGraph.from_data(random_data())
    assert graph.to('cpu') is graph
    moved = graph.to('meta')
    assert graph.to('meta') is moved  # a loop of one's own moves it once
    assert graph.with_weight(2 * graph.weight).to('meta') is not moved
    assert moved.device.type == moved.llm_x['user'].device.type == 'meta'
    assert moved.edge_label_index['val'].device.type == 'meta'
    assert moved._by_item.order is not None
    assert moved._by_item.order.device.type == 'meta'
    assert moved.source is not None
    assert moved.source['user'].llm_x.device.type == 'meta'
    assert graph.source is not None
    assert graph.source['user'].llm_x.device.type == 'cpu'


def test_moved_profiles_that_changed() -> None:
    graph = BipartiteGraph.from_data(random_data())
    moved = graph.to('meta')
    graph.llm_x['user'].mul_(2)
    changed = graph.to('meta')
    assert changed is not moved
    graph.llm_x['user'] = torch.randn(30, 5)
    assert graph.to('meta').llm_x['user'].size(1) == 5
    graph.weight.mul_(2)
    assert graph.to('meta') is not changed
    assert graph.to('meta') is graph.to('meta')


def test_matrices_are_there_before_the_first_step() -> None:
    """A step that runs as a CUDA graph would write over those of its own."""
    graph = make(3, 4, 9)
    known = dict(graph._cache)
    graph.propagate(torch.randn(3, 2), torch.randn(4, 2))
    assert known
    assert graph._cache == known


def test_copies_made_in_inference_mode_can_be_trained_on() -> None:
    graph = BipartiteGraph.from_data(random_data())
    with torch.inference_mode():
        moved = graph.to('meta')
    assert graph.to('meta') is moved
    tensors = moved.weight, moved.edge_index, *moved.llm_x.values()
    assert not any(x.is_inference() for x in tensors)


def test_embeddings_made_in_inference_mode_can_be_trained_on() -> None:
    """As encoders give them."""
    data = random_data()
    with torch.inference_mode():
        data['user'].llm_x = data['user'].llm_x.clone()
    graph = BipartiteGraph.from_data(data)
    weight = torch.ones(graph.llm_x['user'].size(1), 2, requires_grad=True)
    (graph.llm_x['user'] @ weight).sum().backward()
    assert graph.llm_x['user'].equal(data['user'].llm_x)


def test_negative_samples_are_not_held_out() -> None:
    """PyG's splits mark them by a label of 0."""
    data = random_data()
    index = data[RATES].test_edge_label_index
    label = torch.arange(index.size(1)) % 3
    data[RATES].test_edge_label = label
    graph = BipartiteGraph.from_data(data)
    assert torch.equal(graph.edge_label_index['test'], index[:, label > 0])
    data[RATES].test_edge_label = label[1:]
    with pytest.raises(ValueError, match="'test_edge_label' needs a label"):
        BipartiteGraph.from_data(data)
