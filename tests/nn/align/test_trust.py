from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec import DaRecAlign
from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import trust
from pyg_darec.nn.align.profile_space import ProfileSpace
from pyg_darec.nn.align.trust import (
    _order_among_like,
    agreement,
    echo,
    trust_in,
)
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.models import LightGCN

RANK = 6


def make(num_users: int = 200, num_items: int = 90) -> BipartiteGraph:
    """Five tastes, and a few interactions of each user within one."""
    generator = torch.Generator().manual_seed(0)
    user = torch.arange(num_users).repeat_interleave(4)
    item = torch.randint(num_items // 5, user.shape, generator=generator)
    return BipartiteGraph(
        torch.stack([user, 5 * item + user % 5]), num_users, num_items
    )


def tastes(num: int, seed: int, noise: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    own = noise * torch.randn(num, RANK, generator=generator)
    mean = torch.randn(5, RANK, generator=torch.Generator().manual_seed(9))
    return normalize(mean[torch.arange(num) % 5] + own)


def noise(num: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(num, RANK, generator=generator))


def listed(graph: BipartiteGraph, item: Tensor) -> Tensor:
    """What a text says that lists a user's items."""
    total = torch.zeros(graph.num_users, item.size(1))
    total.index_add_(0, graph.edge_index[0], item[graph.edge_index[1]])
    return normalize(total)


def trusted(graph: BipartiteGraph, user: Tensor, item: Tensor) -> Tensor:
    return trust_in(graph, (user, item), (user, item))


def beyond_chance(actual: float, null: list[float]) -> tuple[float, float]:
    x = torch.tensor(null, dtype=torch.double)
    gap, chance = actual - float(x.mean()), 4 * float(x.std())
    return gap, max(0.0, 1 - (chance / gap) ** 2) if gap > chance else 0.0


def shuffles(*vectors: Tensor) -> list[tuple[Tensor, ...]]:
    """As they are, and sixteen times in another order."""
    generator, out = torch.Generator().manual_seed(0), [vectors]
    for _ in range(16):
        order = [torch.randperm(len(x), generator=generator) for x in vectors]
        out.append(tuple(x[o] for x, o in zip(vectors, order, strict=True)))
    return out


@pytest.fixture
def _sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, '_MAX_SHUFFLES', 16)


def mean_cosine(x: Tensor, groups: list[list[int]]) -> float:
    means = [
        torch.stack([x[a] @ x[b] for a, b in combinations(group, 2)]).mean()
        for group in groups
        if len(group) > 1
    ]
    return float(torch.stack(means).mean())


@pytest.mark.usefixtures('_sixteen')
def test_agreement_is_that_of_pairs() -> None:
    graph = make(40, 20)
    edges = graph.edge_index.t().tolist()
    of_item = [[u for u, i in edges if i == k] for k in range(20)]
    of_user = [[i for u, i in edges if u == k] for k in range(40)]
    pair = tastes(40, 1).double(), tastes(20, 2).double()
    wanted = []
    for n, groups in enumerate((of_item, of_user)):
        values = [mean_cosine(s[n], groups) for s in shuffles(*pair)]
        gap, sure = beyond_chance(values[0], values[1:])
        wanted.append(sure * gap**2 / (gap**2 + 0.05**2))
    assert min(wanted) > 0.3
    found = agreement(graph, *(x.float() for x in pair))
    torch.testing.assert_close(found, torch.tensor(wanted))


def directions(x: Tensor) -> Tensor:
    known = x.abs().sum(dim=1) > 0
    out = torch.zeros_like(x)
    unit = x[known] / x[known].norm(dim=1, keepdim=True)
    unit = unit - unit.mean(dim=0)
    out[known] = unit / unit.norm(dim=1, keepdim=True)
    return out


def explained(x: Tensor, y: Tensor) -> float:
    """The ridge regression as least squares with rows for the penalty."""
    known = (x.abs().sum(dim=1) > 0) & (y.abs().sum(dim=1) > 0)
    x, y = x[known] - x[known].mean(dim=0), y[known] - y[known].mean(dim=0)
    penalty = 0.01 * float((x.t() @ x).diagonal().mean())
    more = penalty**0.5 * torch.eye(x.size(1), dtype=x.dtype)
    zero = torch.zeros(x.size(1), y.size(1), dtype=y.dtype)
    fit = torch.linalg.lstsq(torch.cat([x, more]), torch.cat([y, zero]))
    rest = y - x @ fit.solution
    return 1 - float(rest.square().sum() / y.square().sum())


@pytest.mark.usefixtures('_sixteen')
@pytest.mark.parametrize('kind', ['user', 'item'])
def test_echo_is_explained_variance(kind: str) -> None:
    graph = make()
    pair = {'user': tastes(200, 1, 2.0), 'item': tastes(90, 2, 2.0)}
    pair['user'][:7] = 0  # without a profile
    dense = torch.zeros(200, 90, dtype=torch.double)
    dense[graph.edge_index[0], graph.edge_index[1]] = 1
    other = 'item' if kind == 'user' else 'user'
    sums = dense if kind == 'user' else dense.t()
    values = [
        explained(directions(sums @ x), pair[kind].double())
        for (x,) in shuffles(pair[other].double())
    ]
    gap, sure = beyond_chance(values[0], values[1:])
    share = gap / (1 - values[0] + gap)
    assert sure > 0
    assert 0.05 < share < 0.2
    found = echo(graph, pair['user'], pair['item'], kind)
    torch.testing.assert_close(float(found), share / 0.2, rtol=1e-3, atol=0)


def test_users_that_are_made_of_noise() -> None:
    """Users who share an item have a text in common, whatever it says."""
    graph, item = make(), noise(90, 2)
    user = listed(graph, item)
    assert agreement(graph, user, item)[0] > 0.5
    assert trusted(graph, user, item).max() == 0


def test_items_that_are_made_of_noise() -> None:
    graph, user = make(90, 200), noise(90, 2)
    turned = BipartiteGraph(graph.edge_index.flip(0), 200, 90)
    item = listed(turned, user)
    assert agreement(graph, user, item)[1] > 0.5
    assert trusted(graph, user, item).max() == 0


@pytest.mark.parametrize('text', ['own', 'listed', 'alone'])
def test_what_is_more_than_an_echo(text: str) -> None:
    """Profiles that are right keep their trust: beside those of items that
    say nothing, made of some that do, or without any.
    """
    graph = make()
    item = tastes(90, 2) if text == 'listed' else noise(90, 2)
    item = torch.zeros_like(item) if text == 'alone' else item
    user = listed(graph, item) if text == 'listed' else tastes(200, 1)
    wanted = agreement(graph, user, item)
    assert wanted[0] > 0.5
    torch.testing.assert_close(trusted(graph, user, item), wanted)


def made_of_items(data: HeteroData, item: Tensor) -> HeteroData:
    data['item'].llm_x = item
    data['user'].llm_x = listed(as_graph(data), item)
    return data


@pytest.mark.parametrize('llm_dim', [12, 384])
def test_model_with_an_echo_is_that_alone(llm_dim: int) -> None:
    """Where embeddings are wide, components of what users bought make items
    alike that were bought together.
    """
    graph = make()
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 200, 90
    data['user', 'rates', 'item'].edge_index = graph.edge_index
    generator = torch.Generator().manual_seed(0)
    item = torch.randn(90, llm_dim, generator=generator)
    made_of_items(data, normalize(item))
    model = LightGCN.from_data(data, 8).eval()
    with pytest.warns(UserWarning, match='profiles of users do not agree'):
        out = DaRecAlign(model, llm_dim, rank=8).eval()(data)
    for x, y in zip(out, model(data), strict=True):
        assert torch.equal(x, y)


def popular(num: int, seed: int) -> BipartiteGraph:
    """Active users have the items that nobody else has."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(2, 20 * num, generator=generator)
    user = (num * place[0] ** 2).long()
    item = (num * (place[0] * place[1]) ** 2).long()
    return BipartiteGraph(torch.stack([user, item]), num, num)


def test_popularity_is_no_agreement() -> None:
    graph = popular(300, 0)
    pair = [
        torch.stack([degree.float().log1p(), torch.ones(300)], dim=1)
        for degree in (graph.user_degree, graph.item_degree)
    ]
    pair = [x - x.mean(dim=0) + 0.1 * noise(300, 1)[:, :2] for x in pair]
    user, item = (normalize(x) for x in pair)
    assert agreement(graph, user, item).min() > 0.1
    assert trusted(graph, user, item).max() == 0


def skewed(num_items: int, num_edges: int, seed: int) -> BipartiteGraph:
    """Some of few items are in most baskets."""
    generator = torch.Generator().manual_seed(seed)
    shape = 480, num_items
    popularity = torch.randn(num_items, generator=generator)
    score = popularity + 0.5 * torch.randn(shape, generator=generator)
    best = score.flatten().topk(num_edges).indices
    edge_index = torch.stack([best // num_items, best % num_items])
    return BipartiteGraph(edge_index, *shape)


@pytest.mark.parametrize('num_items', [20, 40, 64])
def test_echo_of_few_items(num_items: int) -> None:
    """As many directions as items tell which items these are."""
    graph = skewed(num_items, 1500, num_items)
    generator = torch.Generator().manual_seed(1)
    item = normalize(torch.randn(num_items, 64, generator=generator))
    user = listed(graph, item)
    assert agreement(graph, user, item)[0] > 0.1
    assert trusted(graph, user, item).max() == 0


@pytest.mark.parametrize('num_items', [30, 64, 120])
def test_popularity_of_few_items(num_items: int) -> None:
    """Whose degrees differ much among any twenty of them."""
    graph = skewed(num_items, 20 * num_items, num_items)
    torch.manual_seed(num_items)
    both = torch.randn(64)
    pair = [
        x.float().log1p()[:, None] * both + 0.5 * torch.randn(len(x), 64)
        for x in (graph.user_degree, graph.item_degree)
    ]
    user, item = (normalize(x - x.mean(dim=0)) for x in pair)
    assert agreement(graph, user, item).max() > 0.1
    assert trusted(graph, user, item).max() == 0


def test_two_texts_of_users() -> None:
    """Items whose company is all the same have nothing in common with it."""
    torch.manual_seed(0)
    taste = torch.arange(60)[:, None] % 2 == torch.arange(40) % 2
    edge_index = (taste & (torch.rand(60, 40) < 0.5)).nonzero().t()
    graph = BipartiteGraph(edge_index, 60, 40)
    text = torch.randn(2, 16)
    user = text[(torch.arange(60) % 10 == 0).long()]
    item = torch.eye(2).repeat(20, 8) + 0.5 * torch.randn(40, 16)
    graph.llm_x |= {'user': user, 'item': item}
    space = ProfileSpace(16, 64)
    pair = space(graph)
    assert pair is not None
    for x in (*pair, space.trust, space.canonical):
        assert torch.isfinite(x).all()
    assert space.trust[1] > 0.5


@pytest.mark.parametrize('order', range(3))
def test_any_order_of_nodes(order: int) -> None:
    """Chance is measured well enough to say the same of all."""
    graph = make()
    pair = tastes(200, 1, 2.0), tastes(90, 2, 2.0)
    wanted = trusted(graph, *pair)
    torch.manual_seed(order)
    new = [torch.randperm(len(x)) for x in pair]
    edge_index = torch.stack(
        [x.argsort()[i] for x, i in zip(new, graph.edge_index, strict=True)]
    )
    other = BipartiteGraph(edge_index, 200, 90)
    found = trusted(other, *(x[n] for x, n in zip(pair, new, strict=True)))
    torch.testing.assert_close(found, wanted, rtol=0.03, atol=0)


@pytest.mark.parametrize(('num', 'size'), [(20, 4), (105, 6), (400, 20)])
def test_order_among_like(num: int, size: int) -> None:
    degree = torch.randint(0, 50, (num,)).sort().values[torch.randperm(num)]
    rank = degree.sort().values
    generator = torch.Generator().manual_seed(0)
    orders = [_order_among_like(degree, generator) for _ in range(2)]
    assert not torch.equal(*orders)
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(num))
        # At most from one end of a block to the other.
        place = torch.searchsorted(rank, degree)
        assert (
            (place[order] - place).abs() < size + degree.bincount().max()
        ).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_agreement_in_half_precision(dtype: torch.dtype) -> None:
    """Items of so many users that half precision has no number for pairs."""
    num = 600
    torch.manual_seed(0)
    taste = torch.arange(num) % 2
    graph = BipartiteGraph(torch.stack([torch.arange(num), taste]), num, 2)
    user = torch.eye(2)[taste] + 0.3 * torch.randn(num, 2)
    pair = user.to(dtype), torch.randn(2, 2).to(dtype)
    exact = agreement(graph, *(x.float() for x in pair))
    assert exact[0] > 0.9
    assert torch.equal(agreement(graph, *pair), exact)
