"""How far profiles are to be trusted, by what interactions say of them."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyg_darec.graph import KINDS, BipartiteGraph
from pyg_darec.nn.align.company import company, unweighted
from pyg_darec.nn.align.profile_scale import Pair
from pyg_darec.nn.functional import normalize

# Agreement of so many standard deviations is taken for chance.
_CHANCE = 4.0
# The agreement, as a mean cosine, at which profiles are trusted by half. With
# much less, profiles mixed with noise did more harm than good.
_HALF = 0.05
# Profiles are trusted at most so many times as what bears them out.
_TIMES = 3.0
# Nodes of like degree: so many in a row, if they are sorted by it, or fewer
# where there are few nodes and their degrees differ more.
_LIKE, _MIN_LIKE = 20, 4
_MIN_RANKS = 16
# Of the directions in which profiles are predicted, in the mean of all.
_PENALTY = 0.01
# The share of the variance, of that left by shuffled ones, from which on the
# other side's profiles are what vectors are made of. Of generated profiles with
# texts of their own they predicted .02 to .2, of lists of items .2 to .9.
_ECHO = 0.2
_NODES_A_DIRECTION = 4
# Shuffles, and more where interactions are few, of which chance is measured
# less exactly and costs less.
_MIN_SHUFFLES, _MAX_SHUFFLES = 16, 256
_SHUFFLED_EDGES = 2**20


@torch.no_grad()
def trust_in(graph: BipartiteGraph, main: Pair, blind: Pair) -> Tensor:
    r"""The trust that :class:`~pyg_darec.nn.align.ProfileSpace` describes, in
    the profiles of users and in those of items, :math:`(2)`. Shuffles come
    from generators of their own.

    Args:
        graph (BipartiteGraph): The interactions.
        main (tuple): A vector of each user :math:`(U, r)` and of each item
            :math:`(I, r)`, zero where there is none.
        blind (tuple): The same, by directions that were chosen without a look
            at the profiles.
    """
    trust = agreement(graph, *main)
    limit = _TIMES * agreement(graph, *blind, among_like=True)
    trust = torch.minimum(trust, limit.to(trust.dtype))
    if not all(x.any() for x in main):
        return trust
    excess = trust - _TIMES * trust.flip(0)
    for n, kind in enumerate(KINDS):
        if excess[n] > 0:
            trust[n] -= echo(graph, *main, kind) * excess[n]
    return trust


def agreement(
    graph: BipartiteGraph, user: Tensor, item: Tensor, among_like: bool = False
) -> Tensor:
    r"""How much more similar vectors are than by chance if their nodes share
    a neighbour, :math:`(2)`; chance gives a node the vector of any other, or
    that of one of like degree.
    """
    # The last column counts those that have a vector, which half precision
    # does not up to the squares of their numbers.
    dtype = torch.promote_types(user.dtype, torch.float32)
    plain = unweighted(graph, dtype)

    def measure(user: Tensor, item: Tensor) -> Tensor:
        of_users, of_items = plain.propagate(user, item)
        # Users meet at items, and items at users.
        return torch.stack([_mean_cosine(of_items), _mean_cosine(of_users)])

    pair = [_with_mark(normalize(x.to(dtype))) for x in (user, item)]
    degrees: Sequence[Tensor] = ()
    if among_like:
        degrees = graph.user_degree.cpu(), graph.item_degree.cpu()
    num = _num_shuffles(graph)
    _, gap, sure = _beyond_chance(measure, pair, num, degrees)
    return sure * gap.square() / (gap.square() + _HALF**2)


def echo(
    graph: BipartiteGraph, user: Tensor, item: Tensor, kind: str
) -> Tensor:
    r"""How far, in :math:`[0, 1]`, the vectors of a kind say what those of
    the other kind do: whether means of the latter over neighbours predict them
    better than shuffled ones, which still tell which neighbours these are.
    """
    n = KINDS.index(kind)
    dtype = torch.promote_types(user.dtype, torch.float32)
    plain, other = unweighted(graph, dtype), KINDS[1 - n]
    target, source = ((user, item)[k].to(dtype) for k in (n, 1 - n))

    # A map of as many directions as nodes finds out which nodes these are,
    # whatever is shuffled.
    num_sources = int(source.any(dim=-1).sum())
    is_free = num_sources >= _NODES_A_DIRECTION * source.size(1)

    def measure(source: Tensor) -> Tensor:
        return _explained(company(plain, other, source), target, is_free)

    num = _num_shuffles(graph)
    actual, gap, sure = _beyond_chance(measure, [source], num)
    left = 1 - actual + gap
    share = gap / left.clamp(min=torch.finfo(dtype).tiny)
    return (share / _ECHO).clamp(max=1) * (sure > 0)


def _num_shuffles(graph: BipartiteGraph) -> int:
    num = _SHUFFLED_EDGES // max(graph.num_edges, 1)
    return min(max(num, _MIN_SHUFFLES), _MAX_SHUFFLES)


def _beyond_chance(
    measure: Callable[..., Tensor],
    vectors: Sequence[Tensor],
    num_shuffles: int,
    degrees: Sequence[Tensor] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """What is measured, how much more that is than with shuffled vectors, and
    how sure it is.
    """
    generator = torch.Generator().manual_seed(0)  # the same for all devices
    actual, shuffled = measure(*vectors), []
    for _ in range(num_shuffles):
        if degrees:
            orders = [_order_among_like(x, generator) for x in degrees]
        else:
            sizes = [x.size(0) for x in vectors]
            orders = [torch.randperm(n, generator=generator) for n in sizes]
        pairs = zip(vectors, orders, strict=True)
        moved = [x[order.to(x.device)] for x, order in pairs]
        shuffled.append(measure(*moved))
    null = torch.stack(shuffled)
    gap = actual - null.mean(dim=0)
    chance = _CHANCE * null.std(dim=0)
    # Not a number where both are zero, which is not above chance.
    sure = torch.where(gap > chance, 1 - (chance / gap).square(), 0.0)
    return actual, gap, sure


def _order_among_like(degree: Tensor, generator: torch.Generator) -> Tensor:
    """A permutation of nodes among those of like degree."""
    num = degree.numel()
    tie, key = torch.rand(2, num, generator=generator, dtype=torch.double)
    by_degree = (degree + tie).argsort()
    size = max(min(num // _MIN_RANKS, _LIKE), _MIN_LIKE)
    block = torch.arange(num).div(size, rounding_mode='floor')
    order = torch.empty_like(by_degree)
    order[by_degree] = by_degree[(block + key).argsort()]
    return order


def _explained(x: Tensor, y: Tensor, is_free: bool = True) -> Tensor:
    """The share of the variance of rows that a linear map of others gives,
    or a multiple of them, among those where there are both.
    """
    known = (x.any(dim=-1) & y.any(dim=-1)).unsqueeze(1)
    num = known.sum().clamp(min=1)
    x, y = ((z - (z * known).sum(dim=0) / num) * known for z in (x, y))
    if not is_free:
        x, y = x.reshape(-1, 1), y.reshape(-1, 1)
    gram, cross = x.t() @ x, x.t() @ y
    size = gram.diagonal().mean().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.diagonal().add_(_PENALTY * size)
    weight = torch.linalg.solve(gram, cross)
    rest = (y - x @ weight).square().sum()
    total = y.square().sum()
    # Where there are none, as where the company of all is the same, they
    # explain nothing, and the solution above is not a number.
    return torch.where(total > 0, 1 - rest / total, 0.0)


def _with_mark(x: Tensor) -> Tensor:
    return torch.cat([x, x.any(dim=-1, keepdim=True).to(x.dtype)], dim=-1)


def _mean_cosine(total: Tensor) -> Tensor:
    """The mean cosine of two members of a group, averaged over groups of at
    least two, from the sums of unit vectors and the sizes of groups.
    """
    size = total[:, -1]
    pairs = size * (size - 1)
    cosine = (total[:, :-1].square().sum(dim=-1) - size) / pairs.clamp(min=1)
    is_group = size > 1
    return (cosine * is_group).sum() / is_group.sum().clamp(min=1)


def warn_if_none(trust: Sequence[float]) -> None:
    for kind, value in zip(KINDS, trust, strict=True):
        if value == 0:
            warnings.warn(
                f'The profiles of {kind}s do not agree with the interactions '
                "(trust 0) and are left out; check that the rows of 'llm_x' "
                f'are in the order of the {kind}s, and say more than how '
                'popular a node is or what it interacted with'
            )


def warn_if_lost(trust: Sequence[float], first: Sequence[float]) -> None:
    for kind, value, known in zip(KINDS, trust, first, strict=True):
        if value == 0 and known > 0:
            warnings.warn(
                f'The profiles of {kind}s do not agree with these interactions '
                f'(trust 0), and did (trust {known:.2f}) with those that the '
                'model saw first: it goes on with that; check that the rows '
                f"of 'llm_x' are in the order of the {kind}s, or make a new "
                "model or call 'reset_parameters'"
            )
