from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.checks import check_choice, check_count
from pyg_darec.graph import KINDS, Batch, BipartiteGraph
from pyg_darec.nn.align.adaptor import HybridExpertAdaptor
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.models.embed_source import Embed
from pyg_darec.nn.objectives import BCE, BPR, DirectAU, SampledSoftmax
from pyg_darec.nn.recommender import Recommender, Step

Combine = Literal['concat', 'sum']
# These look at no other rows than those of the batch.
_READ_BATCH = BPR, BCE, DirectAU, SampledSoftmax


class KARAlign(Aligner):
    r"""Knowledge augmentation, KAR, of the `"Towards Open-World
    Recommendation with Knowledge Augmentation from Large Language Models"
    <https://arxiv.org/abs/2306.10933>`_ paper. A mixture of experts
    (:class:`~pyg_darec.nn.align.HybridExpertAdaptor`) turns the profile
    :math:`\mathbf{s}_v` of a node into an augmented vector
    :math:`\mathbf{a}_v`, which the model is given beside the collaborative
    embedding :math:`\mathbf{e}_v`:

    .. math::
        \mathbf{e}'_v = \left[ \mathbf{e}_v \, \Vert \, w \mathbf{a}_v
        \right] \quad \text{or} \quad
        \mathbf{e}'_v = \mathbf{e}_v + w \mathbf{a}_v.

    Where a node has no profile, :math:`\mathbf{a}_v` is zero.
    These are what is scored, in training and afterwards: the objective of
    the model is that of :math:`\mathbf{e}'`, and all its other terms, such
    as a contrast between views, stay as they are. There is no alignment
    loss.

    .. note::

        Published are the adaptor, with the defaults here in the authors'
        code for MovieLens, and that augmented vectors are further input
        fields of a model of clicks. A model that is scored by inner product
        has no fields. Concatenation is how the authors of `RLMRec
        <https://github.com/HKUDS/RLMRec/issues/27>`_ carried KAR over to
        graph recommenders for their comparison; the sum is our addition. So
        are :math:`w` and that experts end in a linear layer (the authors'
        end in ReLU, which no inner product needs).

    A foreign model with a loss of its own keeps it, and the
    :attr:`objective` of :math:`\mathbf{e}'` is added to it.

    Args:
        model (torch.nn.Module): The model to wrap.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The scale :math:`w` of augmented vectors;
            with 0, the model scores as it does alone. (default: :obj:`1.0`)
        num_shared (int, optional): The number of experts shared by users
            and items. (default: :obj:`2`)
        num_dedicated (int, optional): The number of experts for users only,
            and of those for items only. (default: :obj:`5`)
        dim (int, optional): The width of augmented vectors, :obj:`None` for
            that of the model's embeddings. (default: :obj:`None`)
        hidden_dim (int, optional): The hidden width of experts, :obj:`None`
            for the mean of their input and output width.
            (default: :obj:`128`)
        num_layers (int, optional): The depth of experts.
            (default: :obj:`2`)
        combine (str, optional): How the two embeddings of a node are
            combined, :obj:`'concat'` or :obj:`'sum'`.
            (default: :obj:`'concat'`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on the adaptor. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Shapes:
        - **input:** data with :obj:`llm_x` of shapes
          :math:`(U, D)` and :math:`(I, D)`
        - **output:** user and item embeddings, of width
          :math:`d + d_a` with :obj:`'concat'`

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range.
    """

    # An aligner around this one may look at any row of what a step returns;
    # a loss of its own needs no more rows than it reads.
    _is_outermost = False

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 1.0,
        num_shared: int = 2,
        num_dedicated: int = 5,
        dim: int | None = None,
        hidden_dim: int | None = 128,
        num_layers: int = 2,
        combine: Combine = 'concat',
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        check_choice('combine', combine, Combine)
        if combine == 'sum' and dim is not None:
            raise ValueError(
                "'dim' needs to be None where vectors are added up; choose "
                f"combine='concat' for another width (got {dim})"
            )
        check_count(dim=dim)
        self.num_shared = num_shared
        self.num_dedicated = num_dedicated
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.combine = combine
        self.adaptor = HybridExpertAdaptor(
            llm_dim,
            dim or self.model.out_dim,
            num_shared,
            num_dedicated,
            hidden_dim,
            num_layers,
        )

    @property
    def out_dim(self) -> int | None:  # type: ignore[override]
        width = self.model.out_dim
        if width is None or self.combine == 'sum':
            return width
        return width + (self.dim or width)

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        self.check_profiles(graph)
        return self._augment(graph, *self.model.encode(graph))

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        self.check_profiles(graph)
        out = self.unrewarded(graph, batch)
        rows = self._rows(batch) if self._is_outermost else (None, None)
        user, item = self._augment(graph, out.user, out.item, rows)
        return self.rewarded(graph, batch, Step(out.terms, user, item))

    def loss(
        self, data: HeteroData | BipartiteGraph, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self._is_outermost = True
        try:
            return super().loss(data, batch)
        finally:
            self._is_outermost = False

    def _rows(self, batch: Batch) -> tuple[Tensor | None, Tensor | None]:
        """The users and items that the objective reads, None for all."""
        is_own = type(self.model).supervise is not Recommender.supervise
        if is_own or type(self.objective) not in _READ_BATCH:
            return None, None
        return batch[0].unique(), torch.cat(batch[1:]).unique()

    def _augment(
        self,
        graph: BipartiteGraph,
        user: Tensor,
        item: Tensor,
        rows: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> tuple[Tensor, Tensor]:
        pair = []
        for kind, cf, row in zip(KINDS, (user, item), rows, strict=True):
            x = graph.llm_x[kind]
            some = x if row is None else x.index_select(0, row)
            own = self.weight * self.adaptor(
                some.to(cf.dtype), kind, cf.size(1)
            )
            known = graph.profiled(kind)
            if known is not None:
                mask = known.mask if row is None else known.mask[row]
                own = own * mask.unsqueeze(1)
            if row is not None:
                full = own.new_zeros(cf.size(0), own.size(1))
                own = full.index_copy(0, row, own)
            is_sum = self.combine == 'sum'
            pair.append(cf + own if is_sum else torch.cat([cf, own], dim=-1))
        return pair[0], pair[1]

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f'num_shared={self.num_shared}, '
            f"num_dedicated={self.num_dedicated}, combine='{self.combine}')"
        )
