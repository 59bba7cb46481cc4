from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.graph import KINDS, BipartiteGraph
from pyg_darec.nn.align.canonical import canonical_maps
from pyg_darec.nn.align.company import (
    company,
    directions,
    unit,
    unweighted,
)
from pyg_darec.nn.align.profile_scale import Pair
from pyg_darec.nn.align.trust import trust_in, warn_if_lost, warn_if_none
from pyg_darec.nn.functional import unit_rows
from pyg_darec.nn.functional.blocks import row_blocks

# What the profiles of its users count in that of an item, beside its own.
_OF_USERS = 0.5
# The number of principal components in which what is in common is sought.
_COMPONENTS = 256
_UNKNOWN = -1.0
_ROUNDING = 1e-3


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
    is no chance; the second shrinks what is sure, but little.

    Some profiles agree with interactions and say nothing that is of use, so
    the trust has limits:

    - Popular nodes have popular neighbours, and components that one side chose
      make nodes of the other alike that have them in common. So it is at most
      three times what it is by random directions in place of components, where
      profiles are shuffled among nodes of like degree.
    - A text about a user that lists the user's items agrees with the
      interactions whatever it says. With the share :math:`s` of the variance
      of profiles, of that which shuffled ones leave, that is predicted by the
      means of the other side's over neighbours, and
      :math:`e = \min(1, s / 0.2)`,

      .. math::
          t_u \leftarrow t_u - e_u \max(0, t_u - 3 t_i), \quad
          t_i \leftarrow t_i - e_i \max(0, t_i - 3 t_u).

    Each side counts in proportion, :math:`r_u = t_u / \max(t_u, t_i)`, and the
    larger trust is that in the result.

    Centres, components, maps and trust are found on the first graph, and
    saved with the weights. Trust in neither side is not for good: training on
    other profiles or interactions, of a graph that is no sample, measures it
    again. Any other trust stays, as a model was trained with it, and a warning
    tells if it is not borne out there.

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
        # Users, items and interactions of the largest graph so far.
        self._size = [0, 0, 0]

    def reset_parameters(self) -> None:
        self.trust.fill_(_UNKNOWN)
        self._size = [0, 0, 0]

    @torch.no_grad()
    def forward(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor] | None:
        r"""What profiles come to in the company of others,
        :math:`d(\mathbf{Z})`, of users :math:`(U, c)` and of items
        :math:`(I, c)`; :obj:`None` where interactions do not bear them out.
        On the first graph, and in training on one with a kind of profiles that
        was not seen before, this finds centres, components, trust and maps.
        Without a kind that was trusted there, a :class:`ValueError`.
        """
        is_new, is_sample = self.is_open, self._is_sample(graph)
        if self.training and not is_new:
            is_untrusted = bool(self.trust.max() <= 0)
            is_new = not self.knows(graph) or (is_untrusted and not is_sample)
        if is_new:
            pair = self._fit(graph)
        else:
            self._check_complete(graph)
            pair = self._again(graph, self.training and not is_sample)
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

    @property
    def is_open(self) -> bool:
        r"""Whether it has seen no graph."""
        return bool(self.trust.max() == _UNKNOWN)

    @property
    def num_directions(self) -> int:
        r"""The number of directions of :math:`\mathbf{x}` that are more than
        rounding.
        """
        size = self.canonical.norm(dim=-1)
        is_there = size > _ROUNDING * size.amax(dim=1, keepdim=True)
        return int(is_there.sum(dim=1).max())

    def knows(self, graph: BipartiteGraph) -> bool:
        r"""Whether it has seen all kinds of profiles of :obj:`graph`."""
        trust = dict(zip(KINDS, self.trust.tolist(), strict=True))
        return all(trust[kind] != _UNKNOWN for kind in graph.llm_x)

    def _is_sample(self, graph: BipartiteGraph) -> bool:
        """Whether it is less than half of what was seen before; some of many
        samples would seem to agree with any profiles.
        """
        size = graph.num_users, graph.num_items, graph.num_edges
        self._size = [*map(max, size, self._size)]
        pairs = zip(size, self._size, strict=True)
        return any(now < largest / 2 for now, largest in pairs)

    def _check_complete(self, graph: BipartiteGraph) -> None:
        for kind, trust in zip(KINDS, self.trust.tolist(), strict=True):
            if trust > 0 and kind not in graph.llm_x:
                raise ValueError(
                    f'The model was trained with profiles of {kind}s: keep '
                    f"data['{kind}'].llm_x, with rows of zeros for {kind}s "
                    'that have none (got none)'
                )

    def _fit(self, graph: BipartiteGraph) -> Pair:
        """Finds components and trust, and returns the former."""
        self._fit_components(graph)
        pair, trust = self._measure(graph)
        is_known = [kind in graph.llm_x for kind in KINDS]
        known = torch.tensor(is_known, device=trust.device)
        self.trust.copy_(trust.where(known, _UNKNOWN))
        warn_if_none(self.trust.tolist())
        return pair

    def _again(self, graph: BipartiteGraph, is_checked: bool) -> Pair:
        """Profiles of another graph on the components that were found."""
        if not is_checked:
            return self._project(graph, self.basis)[0]
        pair, trust = self._measure(graph)
        warn_if_lost(trust.tolist(), self.trust.tolist())
        return pair

    def _measure(self, graph: BipartiteGraph) -> tuple[Pair, Tensor]:
        """Profiles on the components, and the trust in them."""
        pair, blind = self._project(graph, self.basis, self._blind_basis())
        # The first ones tell as much, and are propagated many times. They tell
        # of interactions if the profiles of either side do.
        main = pair[0][:, : self.rank], pair[1][:, : self.rank]
        return pair, trust_in(graph, main, blind)

    def _fit_components(self, graph: BipartiteGraph) -> None:
        self.center.zero_()
        # Sums over many nodes overflow half precision.
        wide = torch.promote_types(self.basis.dtype, torch.float32)
        gram = self.basis.new_zeros(2 * self.basis.shape[:1], dtype=wide)
        for n, kind in enumerate(KINDS):
            if kind in graph.llm_x:
                known = graph.profiled(kind)
                rows = graph.llm_x[kind] if known is None else known.nodes
                count = max(rows.size(0), 1)
                total = torch.zeros_like(self.center[n], dtype=wide)
                for _, x in self._parts(graph, kind):
                    total += x.sum(dim=0, dtype=wide)
                self.center[n] = total / count
                for _, x in self._centred(graph, kind):
                    x = x.to(wide)
                    gram += x.t() @ x / count
        # Ascending, and all of them: as exact as the profiles are.
        _, vectors = torch.linalg.eigh(gram)
        self.basis.copy_(vectors[:, -self.basis.size(1) :].flip(dims=[1]))

    def _blind_basis(self) -> Tensor:
        """As many directions as trust is measured by, chosen without a look."""
        generator = torch.Generator().manual_seed(0)
        shape = self.basis.size(0), self.rank
        return torch.randn(shape, generator=generator).to(self.basis)

    def _fit_maps(
        self, graph: BipartiteGraph, user: Tensor | None, item: Tensor | None
    ) -> None:
        self.canonical.zero_()
        maps = canonical_maps(graph, user, item, self.rank)
        for n, found in enumerate(maps):
            if found is not None:
                self.canonical[n] = found

    def _project(self, graph: BipartiteGraph, *bases: Tensor) -> list[Pair]:
        """Centred profiles of users and of items on each basis."""
        sizes = graph.num_users, graph.num_items
        pairs = [
            (
                basis.new_zeros(sizes[0], basis.size(1)),
                basis.new_zeros(sizes[1], basis.size(1)),
            )
            for basis in bases
        ]
        for n, kind in enumerate(KINDS):
            for rows, x in self._centred(graph, kind):
                for basis, pair in zip(bases, pairs, strict=True):
                    torch.mm(x, basis, out=pair[n][rows])
        return pairs

    def _centred(
        self, graph: BipartiteGraph, kind: str
    ) -> Iterator[tuple[slice, Tensor]]:
        center = self.center[KINDS.index(kind)]
        for rows, x in self._parts(graph, kind):
            yield rows, unit(x - center * x.any(dim=-1, keepdim=True))

    def _parts(
        self, graph: BipartiteGraph, kind: str
    ) -> Iterator[tuple[slice, Tensor]]:
        """Profiles of unit length, some rows at a time: all of them would be
        as large as the profiles again.
        """
        if kind not in graph.llm_x:
            return
        x = graph.llm_x[kind]
        for rows in row_blocks(x):
            yield rows, unit_rows(x[rows].to(self.basis.dtype))

    def _mix(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> tuple[Tensor, Tensor]:
        share = self.trust.clamp(min=0) / self.trust.max()
        plain = unweighted(graph, user.dtype)
        # In place, as each may be as large as what memory is left.
        user.mul_(share[0]).add_(company(plain, 'item', item).mul_(share[1]))
        item.mul_(share[1]).add_(company(plain, 'user', user).mul_(_OF_USERS))
        return directions(user), directions(item)
