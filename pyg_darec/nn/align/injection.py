from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module, ModuleDict, UninitializedParameter
from torch.nn.init import eye_
from torch.nn.modules.lazy import LazyModuleMixin

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align.canonical import canonical_maps
from pyg_darec.nn.align.profile_space import ProfileSpace, agreement
from pyg_darec.nn.functional import nearest_neighbors, normalize
from pyg_darec.sparse import CSR, Matrix, SymmetricProduct

KINDS = 'user', 'item'
# The multiple of the identity that W starts as. Less trains slower, more
# leaves less to the embeddings of the model.
_START = 2.0


class Profiles(NamedTuple):
    """What is computed of the profiles of one node type once."""

    x: Tensor  # reduced and weighted, (N, r)
    # of the nearest profiles and the node itself, (N, N), if they are used
    neighbors: Matrix | None


class ProfileInjection(LazyModuleMixin, Module):
    r"""Adds what profiles say to embeddings of users and items,

    .. math::
        \mathbf{e}'_v = \mathbf{e}_v + t \left( w_n \sum_{u \in
        \mathcal{N}(v)} s_{vu} \mathbf{e}_u + w_p \mathbf{W} \mathbf{x}_v
        \right),

    with the reduced profile :math:`\mathbf{x}_v` of a node and the trust
    :math:`t` in profiles of its type
    (:class:`~pyg_darec.nn.align.ProfileSpace`), and one :math:`\mathbf{W}`
    for users and one for items, which start as a multiple of the identity:
    reduced profiles of users and of items have a space in common. Two nodes
    are neighbours if one is among the :obj:`num_neighbors` whose profiles are
    nearest to that of the other, by their principal components, and
    :math:`s_{vu}` is the cosine of these, divided by the square roots of the
    sums at both. Where :math:`t = 0`, embeddings pass through unchanged.

    A node type without profiles passes through as well.

    Args:
        llm_dim (int): The width of the profile embeddings.
        dim (int, optional): The width of the embeddings, :obj:`None` for
            that of the first ones to pass.
        rank (int): The width :math:`r` of the reduced profiles.
        profile_weight (float): The weight :math:`w_p`.
        neighbor_weight (float): The weight :math:`w_n`.
        num_neighbors (int): The number of nearest profiles.
    """

    cls_to_become = None

    def __init__(
        self,
        llm_dim: int,
        dim: int | None,
        rank: int,
        profile_weight: float,
        neighbor_weight: float,
        num_neighbors: int,
    ) -> None:
        super().__init__()
        self.profile_weight = profile_weight
        self.neighbor_weight = neighbor_weight
        self.num_neighbors = num_neighbors
        self.space = ModuleDict({k: ProfileSpace(llm_dim, rank) for k in KINDS})
        self.user_weight = UninitializedParameter()
        self.item_weight = UninitializedParameter()
        self._rank = min(rank, llm_dim)
        # Here and not in a table of all modules: a compiled step would guard
        # every row of it, and rows of modules that are gone vanish.
        self._prepared: Prepared | None = None
        if dim is not None:
            self._materialize(dim)
            self.reset_parameters()

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a saved file should not hold the profiles.
        return {**self.__dict__, '_prepared': None}

    def _weights(self) -> dict[str, Any]:
        return {'user': self.user_weight, 'item': self.item_weight}

    def _materialize(self, dim: int) -> None:
        for weight in self._weights().values():
            weight.materialize((dim, self._rank))

    def initialize_parameters(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> None:
        r"""Sets the width that is open; called before the first
        :meth:`forward`.
        """
        if self.has_uninitialized_params():
            self._materialize(user.size(1))
            self.reset_parameters()

    def reset_parameters(self) -> None:
        for space in self.space.values():
            space.reset_parameters()  # type: ignore[operator]
        if self.has_uninitialized_params():
            return
        with torch.no_grad():
            for weight in self._weights().values():
                # What is in common comes first, and most of it first.
                eye_(weight).mul_(_START)

    def forward(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""Returns the embeddings of users and of items with what their
        profiles say.
        """
        if torch.compiler.is_compiling():
            assert self._prepared is not None  # by 'renew'
            prepared = self._prepared.profiles
        else:
            prepared = self.prepare(graph)
        pair = zip(KINDS, (user, item), strict=True)
        with torch.autocast(graph.device.type, enabled=False):
            user, item = (self._inject(k, x, prepared) for k, x in pair)
        return user, item

    def _inject(
        self, kind: str, x: Tensor, prepared: dict[str, Profiles]
    ) -> Tensor:
        weight = self._weights()[kind]
        if kind not in prepared:
            # Training on several devices waits for a gradient of everything.
            return x + 0 * weight.sum() if torch.is_grad_enabled() else x
        known = prepared[kind]
        if known.neighbors is not None:
            ptr, col, value = known.neighbors
            x = SymmetricProduct.apply(x, ptr, col, value.to(x.dtype))
        return torch.addmm(x, known.x.to(x.dtype), weight.t())

    def _space(self, kind: str) -> ProfileSpace:
        space = self.space[kind]
        assert isinstance(space, ProfileSpace)  # for the type checker
        return space

    @torch.inference_mode(False)
    @torch.no_grad()
    def prepare(self, graph: BipartiteGraph) -> dict[str, Profiles]:
        r"""What the profiles of :obj:`graph` are reduced to, computed once;
        without those of a node type that nothing is known of or that
        interactions do not bear out.
        """
        known = self._prepared
        if known is None or not known.is_of(self, graph):
            self._fit(graph)
            profiles = {
                kind: self._reduce(kind, x)
                for kind, x in graph.llm_x.items()
                if self._space(kind).trust > 0
            }
            known = self._prepared = Prepared.of(self, graph, profiles)
        return known.profiles

    def _fit(self, graph: BipartiteGraph) -> None:
        known = [k for k in KINDS if k in graph.llm_x]
        if all(self._space(kind).is_fitted for kind in known):
            return
        components: list[Tensor] = []
        for kind, size in zip(
            KINDS, (graph.num_users, graph.num_items), strict=True
        ):
            space = self._space(kind)
            if kind in known:
                space.fit(graph.llm_x[kind])
                components.append(space.components(graph.llm_x[kind]))
            else:
                components.append(space.center.new_zeros(size, 1))
        # The first ones tell as much, and this propagates them many times.
        trusts = agreement(graph, *(x[:, : self._rank] for x in components))
        for kind, trust in zip(KINDS, trusts, strict=True):
            self._space(kind).trust.copy_(trust)
        user, item = (
            x if trust > 0 else None
            for x, trust in zip(components, trusts, strict=True)
        )
        maps = canonical_maps(graph, user, item, self._rank)
        for kind, canonical in zip(KINDS, maps, strict=True):
            if canonical is not None:
                self._space(kind).canonical.copy_(canonical)

    def _reduce(self, kind: str, x: Tensor) -> Profiles:
        space = self._space(kind)
        share = float(space.trust)
        weight, near = share * self.neighbor_weight, None
        components = space.components(x)
        if weight > 0 and self.num_neighbors > 0:
            near = _neighbors(components, self.num_neighbors, weight)
        reduced = space.reduce(components)
        return Profiles(share * self.profile_weight * reduced, near)


class Prepared(NamedTuple):
    """What profiles were reduced to, and all that it depends on."""

    # Holding the profiles keeps their ids from being given to others.
    sources: dict[str, Tensor]
    source_versions: list[int]
    buffer_versions: list[tuple[int, int]]
    buffers: list[Tensor]
    profiles: dict[str, Profiles]

    @classmethod
    def of(
        cls,
        module: ProfileInjection,
        graph: BipartiteGraph,
        profiles: dict[str, Profiles],
    ) -> 'Prepared':
        sources = dict(graph.llm_x)
        return cls(
            sources,
            [_version(x) for x in sources.values()],
            [(id(x), _version(x)) for x in module.buffers()],
            [x.clone() for x in module.buffers()],
            profiles,
        )

    def is_of(self, module: ProfileInjection, graph: BipartiteGraph) -> bool:
        """Loading weights changes buffers in place, moving them makes others;
        those of the weights that a training saved are equal all the same,
        which is looked at only then.
        """
        sources = graph.llm_x
        if [*sources] != [*self.sources] or any(
            x is not known or _version(x) != version
            for x, known, version in zip(
                sources.values(),
                self.sources.values(),
                self.source_versions,
                strict=True,
            )
        ):
            return False
        buffers = list(module.buffers())
        versions = [(id(x), _version(x)) for x in buffers]
        if versions == self.buffer_versions:
            return True
        is_equal = all(
            x.device == known.device and torch.equal(x, known)
            for x, known in zip(buffers, self.buffers, strict=True)
        )
        if is_equal:
            self.buffer_versions[:] = versions
        return is_equal


def _version(x: Tensor) -> int:
    # Tensors made in inference mode count no changes.
    return -1 if x.is_inference() else x._version


def _neighbors(x: Tensor, k: int, weight: float) -> Matrix:
    """The identity and :obj:`weight` times the similarities of neighbours,
    with rows and columns scaled as in a graph convolution: symmetric.
    """
    num, x = x.size(0), normalize(x)
    node = torch.arange(num, device=x.device)
    col, value = nearest_neighbors(x, k)
    # Opposite profiles are no neighbours, and missing ones of nobody.
    near = value > 0
    row = node.unsqueeze(1).expand_as(col)[near]
    col, value = col[near], value[near]
    # A pair that found each other is the same pair twice.
    key = torch.cat([row * num + col, col * num + row])
    key, place = key.unique(return_inverse=True)
    value = value.new_zeros(key.numel()).scatter_(0, place, value.repeat(2))
    row, col = key // max(num, 1), key % max(num, 1)
    total = value.new_zeros(num).index_add_(0, row, value)
    value = weight * value * (total[row] * total[col]).rsqrt()
    row, col = torch.cat([node, row]), torch.cat([node, col])
    value = torch.cat([torch.ones_like(node, dtype=value.dtype), value])
    order = torch.argsort(row * num + col)
    csr = CSR.from_edges(row[order], col[order], (num, num), is_sorted=True)
    return csr.weighted(value[order])
