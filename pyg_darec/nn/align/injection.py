import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, UninitializedParameter
from torch.nn.init import eye_
from torch.nn.modules.lazy import LazyModuleMixin

from pyg_darec.graph import KINDS, BipartiteGraph
from pyg_darec.nn.align.neighbor_matrix import neighbor_matrix
from pyg_darec.nn.align.prepared import Prepared, Profiles
from pyg_darec.nn.align.profile_scale import Response, profile_scale
from pyg_darec.nn.align.profile_space import ProfileSpace
from pyg_darec.sparse import SymmetricProduct

# The multiple of the identity that W starts as. Less trains slower, more
# leaves less to the embeddings of the model.
_START = 2.0
# The first coordinate of every node, where profiles have a root mean square
# length of one.
_CONSTANT = 0.5
_UNKNOWN = 0.0
_NOWHERE = -1


class ProfileInjection(LazyModuleMixin, Module):
    r"""Adds what profiles say to embeddings of users and items,

    .. math::
        \mathbf{e}'_v = \mathbf{e}_v + t \left( w_n \sum_{u \in
        \mathcal{N}(v)} s_{vu} \mathbf{e}_u + w_p c \, \mathbf{W}
        \mathbf{x}_v \right),

    with the trust :math:`t` in profiles and, in :math:`\mathbf{x}_v`, 1/2 and
    then the reduced profile of a node, to which those of its neighbours in the
    graph contribute (:class:`~pyg_darec.nn.align.ProfileSpace`), and one
    :math:`\mathbf{W}` for users and one for items, which start as a multiple
    of the identity: reduced profiles of users and of items have a space in
    common. The constant 1/2 is what profiles lost when they were centred.
    Layers make popularity of it, which profiles would drown before the model
    could learn it, most of all from few interactions. Two nodes
    are neighbours if one is among the :obj:`num_neighbors` whose profiles are
    nearest to that of the other, by :math:`d(\mathbf{Z})` there, and
    :math:`s_{vu}` is the cosine of these, divided by the square roots of the
    sums at both. Where :math:`t = 0`, embeddings pass through unchanged.

    Few distinct profiles, or narrow ones, have fewer than :math:`r`
    directions. They would be longer in each of them and drown the model
    there, so they are shortened by the square root of the share of those that
    they have.

    Models differ in how much of their input arrives at their output: with the
    mean of four layers, it is a quarter of their sum. What profiles add would
    be drowned in one and drown the model itself in another. So :math:`c`
    makes it as long at the output, before training, as the sum of three
    layers of LightGCN and the input, for which :math:`c = 1`
    (:func:`~pyg_darec.nn.align.profile_scale`).

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
    scale: Tensor
    place: Tensor

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
        self.rank = rank
        self.profile_weight = profile_weight
        self.neighbor_weight = neighbor_weight
        self.num_neighbors = num_neighbors
        self.space = ProfileSpace(llm_dim, rank)
        self.register_buffer('scale', torch.tensor(_UNKNOWN))
        self.register_buffer('place', torch.tensor(_NOWHERE, dtype=torch.int8))
        # What is in the buffer, which no step waits for a device to tell.
        self._is_at_input: bool | None = None
        self.user_weight = UninitializedParameter()
        self.item_weight = UninitializedParameter()
        # Here and not in a table of all modules: a compiled step would guard
        # every row of it, and rows of modules that are gone vanish.
        self._prepared: Prepared | None = None
        # Buffers that were loaded may not be those that it was found with,
        # which a compiled step cannot compare.
        self._is_current = False
        if dim is not None:
            self._materialize(dim)
            self.reset_parameters()

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a saved file should not hold the profiles.
        return {**self.__dict__, '_prepared': None, '_is_current': False}

    def _weights(self) -> dict[str, Any]:
        return {'user': self.user_weight, 'item': self.item_weight}

    def _materialize(self, dim: int) -> None:
        for weight in self._weights().values():
            weight.materialize((dim, 1 + self.space.rank))

    @torch.inference_mode(False)
    def initialize_parameters(
        self,
        graph: BipartiteGraph,
        user: Tensor,
        item: Tensor,
        response: Response | None = None,
    ) -> None:
        r"""Sets the width that is open; called before the first
        :meth:`forward`.
        """
        if self.has_uninitialized_params():
            self._materialize(user.size(1))
            self._reset_weights()

    def reset_parameters(self) -> None:
        self.space.reset_parameters()
        self.scale.fill_(_UNKNOWN)
        self.place.fill_(_NOWHERE)
        self._is_at_input = None
        self._is_current = False
        self._reset_weights()

    def _reset_weights(self) -> None:
        if self.has_uninitialized_params():
            return
        with torch.no_grad():
            for weight in self._weights().values():
                # The constant comes first, then most of what is in common.
                eye_(weight).mul_(_START)

    def forward(
        self,
        graph: BipartiteGraph,
        user: Tensor,
        item: Tensor,
        response: Response | None = None,
    ) -> tuple[Tensor, Tensor]:
        r"""Returns the embeddings of users and of items with what their
        profiles say; :obj:`response` is that of :meth:`prepare`.
        """
        if torch.compiler.is_compiling():
            prepared = self._compiled(graph)
        else:
            prepared = self.prepare(graph, response)
        pair = zip(KINDS, (user, item), strict=True)
        with torch.autocast(graph.device.type, enabled=False):
            user, item = (self._inject(k, x, prepared) for k, x in pair)
        return user, item

    def _compiled(self, graph: BipartiteGraph) -> dict[str, Profiles]:
        """What 'prepare' found, which cannot be compiled itself."""
        known = self._prepared
        if known is None or not (self._is_current and known.is_from(graph)):
            raise RuntimeError(
                "A compiled model needs to see the profiles of 'data' before; "
                "call 'model(data)' uncompiled once, or train it by 'fit'"
            )
        return known.profiles

    def _inject(
        self, kind: str, x: Tensor, prepared: dict[str, Profiles]
    ) -> Tensor:
        weight = self._weights()[kind] * self.scale
        if kind not in prepared:
            # Training on several devices waits for a gradient of everything.
            return x + 0 * weight.sum() if torch.is_grad_enabled() else x
        # Sparse products in half precision exist on no CPU.
        dtype = torch.promote_types(x.dtype, torch.float32)
        dtype = torch.promote_types(dtype, weight.dtype)
        x, weight = x.to(dtype), weight.to(dtype)
        known = prepared[kind]
        if known.neighbors is not None:
            ptr, col, value = known.neighbors
            x = SymmetricProduct.apply(x, ptr, col, value.to(x.dtype))
            # Into what is nobody else's, which saves a copy.
            return x.addmm_(known.x.to(x.dtype), weight.t())
        return torch.addmm(x, known.x.to(x.dtype), weight.t())

    @torch.inference_mode(False)
    @torch.no_grad()
    def prepare(
        self, graph: BipartiteGraph, response: Response | None = None
    ) -> dict[str, Profiles]:
        r"""What the profiles of :obj:`graph` are reduced to, computed once;
        nothing where interactions do not bear them out.

        Args:
            graph (BipartiteGraph): The interactions, with profiles.
            response (callable, optional): What the model adds to its output,
                given what is added to its input embeddings, which sets the
                scale :math:`c` the first time; without it, that is 1.
                (default: :obj:`None`)
        """
        known = self._prepared
        if known is None or not known.is_of(self, graph):
            is_complete = self.training or self.space.is_open
            # Found once, whatever the precision of the step that asks first.
            with torch.autocast(graph.device.type, enabled=False):
                profiles = self._reduce(graph)
                if profiles and self.scale == _UNKNOWN:
                    self._fit_scale(graph, profiles, response)
            known = Prepared.of(self, graph, profiles, is_complete)
            self._prepared = known
        self._is_current = True
        return known.profiles

    @property
    def adds(self) -> bool:
        r"""Whether it adds anything, with the data of the last step."""
        return self._prepared is not None and bool(self._prepared.profiles)

    @property
    def is_at_input(self) -> bool | None:
        r"""Whether it is added to tables of input embeddings, and not to the
        output; :obj:`None` before the first data.
        """
        return self._is_at_input

    @is_at_input.setter
    def is_at_input(self, value: bool) -> None:
        if value is not self._is_at_input:
            self._is_at_input = value
            self.place.fill_(int(value))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._is_current = False
        place = _NOWHERE if self.place.is_meta else int(self.place)
        self._is_at_input = None if place == _NOWHERE else bool(place)

    def _fit_scale(
        self,
        graph: BipartiteGraph,
        profiles: dict[str, Profiles],
        response: Response | None,
    ) -> None:
        self.scale.fill_(1)
        if response is not None:
            weights = self._weights()
            user, item = (profiles[k].x @ weights[k].t() for k in KINDS)
            self.scale.fill_(profile_scale(graph, (user, item), response))

    def _reduce(self, graph: BipartiteGraph) -> dict[str, Profiles]:
        pair = self.space(graph)
        if pair is None:
            return {}
        trust = float(self.space.trust.max())
        weight = trust * self.neighbor_weight
        length = trust * self.profile_weight
        # Each direction is as long as it is among as many as there should be.
        share = math.sqrt(self.space.num_directions / self.rank)
        out: dict[str, Profiles] = {}
        for kind, x, reduced in zip(
            KINDS, pair, self.space.reduce(*pair), strict=True
        ):
            near = None
            if weight > 0 and self.num_neighbors > 0:
                near = neighbor_matrix(x, self.num_neighbors, weight)
            # The intercept of a regression, which centred profiles need.
            constant = reduced.new_full((reduced.size(0), 1), _CONSTANT)
            added = torch.cat([constant, share * reduced], dim=1)
            out[kind] = Profiles(length * added, near)
        return out
