import warnings

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align.canonical import (
    canonical_maps,
    propagate_one_side,
)
from pyg_darec.nn.functional import normalize

KINDS = 'user', 'item'

# Agreement of so many standard deviations is taken for chance.
_CHANCE = 4.0
# The agreement, as a mean cosine, at which profiles are trusted by half. With
# much less, profiles mixed with noise did more harm than good.
_HALF = 0.05
# What the profiles of its users count in that of an item, beside its own.
_OF_USERS = 0.5
# So many components are propagated together, to save memory.
_CHUNK = 64
_NUM_SHUFFLES = 16
# The number of principal components in which what is in common is sought.
_COMPONENTS = 256
_UNKNOWN = -1.0


class ProfileSpace(Module):
    r"""What the profile embeddings of users and items are reduced to.

    Real profiles share most of their direction, which says nothing about a
    node. With :math:`d(\cdot)` for rows of unit length, centred, and of unit
    length again, profiles become :math:`d(\mathbf{X})` on the first principal
    components of both sides. Interactions make of one profile that of the
    company it keeps,

    .. math::
        \mathbf{Z}_u &= r_u \, d(\mathbf{X}_u) + r_i \,
        d(\mathbf{M}_u \, d(\mathbf{X}_i)), \\
        \mathbf{Z}_i &= r_i \, d(\mathbf{X}_i) + \tfrac{1}{2} \,
        d(\mathbf{M}_i \, \mathbf{Z}_u),

    with the mean :math:`\mathbf{M}_u` over the items of a user, and
    :math:`\mathbf{M}_i` over the users of an item. So a node without a
    profile has what its interactions say. Of :math:`d(\mathbf{Z})`, the
    vectors :math:`\mathbf{x}` are what the two ends of an interaction have in
    common (:func:`~pyg_darec.nn.align.canonical_maps`).

    A row of zeros stands for a missing profile and counts nowhere.

    Beside these vectors belongs a :attr:`trust` in :math:`[0, 1]` in the
    profiles of users, and in those of items: how far they agree with the
    interactions. With :math:`a` the mean cosine of two nodes that share a
    neighbour in the graph, and :math:`\mu`, :math:`\sigma` its mean and
    deviation when profiles are shuffled, and :math:`g = a - \mu`,

    .. math::
        t = \max \left( 0, 1 - \left( \frac{4 \sigma}{g}
        \right)^2 \right) \cdot \frac{g^2}{g^2 + 0.05^2}, \quad g > 0,

    and else 0. The first factor is 0 for noise and 1 for any agreement that
    is no chance; the second shrinks what is sure, but little. Each side
    counts in proportion, :math:`r_u = t_u / \max(t_u, t_i)`, and the larger
    trust is that in the result.

    Centres, components, maps and trust are found on the first graph, and
    saved with the weights.

    Args:
        llm_dim (int): The width :math:`D` of the profile embeddings.
        rank (int): The width :math:`r` of reduced profiles, cut to
            :math:`D`.
    """

    center: Tensor
    basis: Tensor
    canonical: Tensor
    trust: Tensor

    def __init__(self, llm_dim: int, rank: int) -> None:
        super().__init__()
        width = min(max(rank, _COMPONENTS), llm_dim)
        self.rank = min(rank, llm_dim)
        # Of users and of items.
        self.register_buffer('center', torch.zeros(2, llm_dim))
        self.register_buffer('basis', torch.zeros(llm_dim, width))
        self.register_buffer('canonical', torch.zeros(2, self.rank, width))
        self.register_buffer('trust', torch.full((2,), _UNKNOWN))

    def reset_parameters(self) -> None:
        self.trust.fill_(_UNKNOWN)

    @torch.no_grad()
    def forward(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor] | None:
        r"""What profiles come to in the company of others,
        :math:`d(\mathbf{Z})`, of users :math:`(U, c)` and of items
        :math:`(I, c)`; :obj:`None` where interactions do not bear them out.
        On the first graph, and in training on one with a kind of profiles that
        was not seen before, this finds centres, components, trust and maps.
        """
        is_first = bool(self.trust.max() == _UNKNOWN)
        is_new = is_first or (self.training and not self.knows(graph))
        if is_new:
            self._fit_components(graph)
        # One after the other: centred profiles are as large as profiles.
        pair = (
            self._centred(graph, 0) @ self.basis,
            self._centred(graph, 1) @ self.basis,
        )
        if is_new:
            self._fit_trust(graph, *pair)
        if self.trust.max() <= 0:
            return None
        pair = self._mix(graph, *pair)
        if is_new:
            user, item = (x if x.any() else None for x in pair)
            self._fit_maps(graph, user, item)
        return pair

    @torch.no_grad()
    def reduce(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        r"""What both sides of :meth:`forward` have in common."""
        return user @ self.canonical[0].t(), item @ self.canonical[1].t()

    def knows(self, graph: BipartiteGraph) -> bool:
        r"""Whether it has seen all kinds of profiles of :obj:`graph`."""
        trust = dict(zip(KINDS, self.trust.tolist(), strict=True))
        return all(trust[kind] != _UNKNOWN for kind in graph.llm_x)

    def _fit_components(self, graph: BipartiteGraph) -> None:
        self.center.zero_()
        gram = self.basis.new_zeros(2 * self.basis.shape[:1])
        for n, kind in enumerate(KINDS):
            if kind in graph.llm_x:
                x = normalize(graph.llm_x[kind].to(self.basis.dtype))
                count = x.any(dim=-1).sum().clamp(min=1)
                self.center[n] = x.sum(dim=0) / count
                x = self._centred(graph, n)
                gram += x.t() @ x / count
        # Ascending, and all of them: as exact as the profiles are.
        wide = torch.promote_types(gram.dtype, torch.float32)
        _, vectors = torch.linalg.eigh(gram.to(wide))
        self.basis.copy_(vectors[:, -self.basis.size(1) :].flip(dims=[1]))

    def _fit_trust(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> None:
        # The first ones tell as much, and this propagates them many times.
        r = self.rank
        trust = agreement(graph, user[:, :r], item[:, :r])
        is_known = [kind in graph.llm_x for kind in KINDS]
        known = torch.tensor(is_known, device=trust.device)
        self.trust.copy_(trust.where(known, _UNKNOWN))
        for kind, value in zip(KINDS, self.trust.tolist(), strict=True):
            if value == 0:
                warnings.warn(
                    f'The profiles of {kind}s do not agree with the '
                    'interactions (trust 0) and are left out; check that the '
                    f"rows of 'llm_x' are in the order of the {kind}s"
                )

    def _fit_maps(
        self, graph: BipartiteGraph, user: Tensor | None, item: Tensor | None
    ) -> None:
        self.canonical.zero_()
        maps = canonical_maps(graph, user, item, self.rank)
        for n, found in enumerate(maps):
            if found is not None:
                self.canonical[n] = found

    def _centred(self, graph: BipartiteGraph, n: int) -> Tensor:
        size = (graph.num_users, graph.num_items)[n]
        if KINDS[n] not in graph.llm_x:
            return self.basis.new_zeros(size, self.basis.size(0))
        x = normalize(graph.llm_x[KINDS[n]].to(self.basis.dtype))
        return _unit(x - self.center[n] * x.any(dim=-1, keepdim=True))

    def _mix(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> tuple[Tensor, Tensor]:
        share = self.trust.clamp(min=0) / self.trust.max()
        plain = _unweighted(graph, user.dtype)
        of_items = _directions(_sums(plain, 'item', item))
        user = share[0] * user + share[1] * of_items
        of_users = _directions(_sums(plain, 'user', user))
        item = share[1] * item + _OF_USERS * of_users
        return _directions(user), _directions(item)


def _unweighted(graph: BipartiteGraph, dtype: torch.dtype) -> BipartiteGraph:
    return graph.with_weight(torch.ones_like(graph.weight, dtype=dtype))


def _unit(x: Tensor) -> Tensor:
    """Rows of unit length; those of nothing but rounding become zero."""
    square = x.square().sum(dim=-1, keepdim=True)
    return normalize(x * (square > torch.finfo(x.dtype).eps))


def _directions(x: Tensor) -> Tensor:
    x = normalize(x)
    known = x.any(dim=-1, keepdim=True)
    return _unit((x - x.sum(dim=0) / known.sum().clamp(min=1)) * known)


def _sums(plain: BipartiteGraph, kind: str, x: Tensor) -> Tensor:
    """Of the rows of neighbours, which are the users or items :obj:`x`. The
    direction of a sum is that of the mean.
    """
    there = 1 - KINDS.index(kind)
    parts = [
        propagate_one_side(plain, **{kind: part})[there]
        for part in x.split(_CHUNK, dim=1)
    ]
    return torch.cat(parts, dim=1)


@torch.no_grad()
def agreement(graph: BipartiteGraph, user: Tensor, item: Tensor) -> Tensor:
    r"""How far each side's vectors agree with the interactions: the trust
    that :class:`ProfileSpace` describes, of users and of items, :math:`(2)`.
    Shuffles come from a generator of their own.

    Args:
        graph (BipartiteGraph): The interactions.
        user (torch.Tensor): A vector of each user :math:`(U, r)`, zero where
            there is none.
        item (torch.Tensor): A vector of each item :math:`(I, r)`.
    """
    generator = torch.Generator().manual_seed(0)  # the same for all devices
    # The last column counts those that have a vector, which half precision
    # does not up to the squares of their numbers.
    dtype = torch.promote_types(user.dtype, torch.float32)
    plain = _unweighted(graph, dtype)
    pair = [_with_mark(normalize(x.to(dtype))) for x in (user, item)]

    def measure() -> Tensor:
        of_users, of_items = plain.propagate(*pair)
        # Users meet at items, and items at users.
        return torch.stack([_mean_cosine(of_items), _mean_cosine(of_users)])

    actual, shuffled = measure(), []
    for _ in range(_NUM_SHUFFLES):
        pair = [
            x[torch.randperm(x.size(0), generator=generator).to(x.device)]
            for x in pair
        ]
        shuffled.append(measure())
    null = torch.stack(shuffled)
    gap = actual - null.mean(dim=0)
    chance = _CHANCE * null.std(dim=0)
    # Not a number where both are zero, which is not above chance.
    sure = torch.where(gap > chance, 1 - (chance / gap).square(), 0.0)
    trust: Tensor = sure * gap.square() / (gap.square() + _HALF**2)
    return trust


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
