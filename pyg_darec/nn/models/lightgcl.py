from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pyg_darec.changes import is_trained, version_of
from pyg_darec.checks import check_choice, check_count
from pyg_darec.graph import (
    Batch,
    BipartiteGraph,
)
from pyg_darec.nn.functional import log_partition
from pyg_darec.nn.functional.ranking import Similarity
from pyg_darec.nn.models.base import Penalty, View
from pyg_darec.nn.models.contrast import (
    LayerContrastLightGCN,
    contrast_nodes,
)
from pyg_darec.nn.models.lightgcn import Combine

Contrast = Literal['sum', 'layers']

# Inner products of positives attract up to here, as in the published code.
_CLIP = 5.0


class LightGCL(LayerContrastLightGCN):
    r"""Contrastive learning with a low-rank view of the graph from the
    `"LightGCL: Simple Yet Effective Graph Contrastive Learning for
    Recommendation" <https://arxiv.org/abs/2302.08191>`_ paper: beside each
    propagation of LightGCN goes one over the normalised interactions
    :math:`\mathbf{A}`, reduced to their :math:`q` largest singular values,

    .. math::
        \mathbf{G}^{(l)}_U = \mathbf{U} \mathbf{S} \mathbf{V}^{\top}
        \mathbf{E}^{(l-1)}_I, \quad
        \mathbf{G}^{(l)}_I = \mathbf{V} \mathbf{S} \mathbf{U}^{\top}
        \mathbf{E}^{(l-1)}_U, \quad
        \mathbf{A} \approx \mathbf{U} \mathbf{S} \mathbf{V}^{\top},

    and the two views of a node have to find each other among all users or
    all items,

    .. math::
        \mathcal{L} = \mathcal{L}_{BPR} + w \left( \frac{1}{B} \sum_u \ell(u)
        + \frac{1}{2B} \sum_{p, n} \ell(p) + \ell(n) \right), \quad
        \ell(v) = -\log \frac{\exp(\cos(\mathbf{a}_v, \mathbf{c}_v) / \tau)}
        {\sum_j \exp(\cos(\mathbf{a}_v, \mathbf{c}_j) / \tau)}.

    With :obj:`contrast_on='layers'`, the loss of the paper, :math:`\ell` is
    the sum of that between :math:`\mathbf{a} = \mathbf{e}^{(l)}` and
    :math:`\mathbf{c} = \mathbf{g}^{(l)}` over all layers
    :math:`l \geq 1`. With :obj:`'sum'`, it is computed once, between
    :math:`\mathbf{a} = \mathbf{e}^{(0)} + \sum_{l \geq 1}
    \mathbf{g}^{(l)}` and :math:`\mathbf{c} = \sum_{l \geq 0}
    \mathbf{e}^{(l)}`, at a fraction :math:`1 / L` of the cost, as in its
    published code. That has :obj:`similarity='dot'`: inner products for
    cosines, where that of a node's two views counts from :math:`-5 \tau` to
    :math:`5 \tau` only. There are no activations, as in that code and unlike
    in the paper.

    The singular vectors are found once for every graph, in double precision
    and from a start of their own: they are no part of the
    :obj:`state_dict`, and leave the global random state as it is. No
    gradients flow to them.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations :math:`L`, at
            least one. (default: :obj:`2`)
        combine (str, optional): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`. (default: :obj:`'sum'`)
        rank (int, optional): The number :math:`q` of singular values; from
            :math:`\min(U, I)` on, the view is the graph itself.
            (default: :obj:`5`)
        contrast_on (str, optional): What is contrasted, the :obj:`'sum'` of
            the layers or all :obj:`'layers'`. (default: :obj:`'sum'`)
        similarity (str, optional): What is contrasted,
            :obj:`'cosine'` or :obj:`'dot'` products.
            (default: :obj:`'cosine'`)
        edge_dropout (float, optional): The share of interactions that a
            training step leaves out of the propagation that is scored,
            without rescaling the others. (default: :obj:`0.0`)
        ssl_weight (float, optional): The weight :math:`w` of the contrast.
            The 0.2 of the published code is for its inner products; with it,
            cosines drown the other terms. (default: :obj:`0.01`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-7`)
        reg (str, optional): What is penalised, :obj:`'all'` parameters or
            the embeddings of the :obj:`'batch'`. (default: :obj:`'all'`)

    Shapes:
        - **input:** data with :math:`U` users and :math:`I` items
        - **output:** user embeddings :math:`(U, d)`, item embeddings
          :math:`(I, d)`

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        num_layers: int = 2,
        combine: Combine = 'sum',
        rank: int = 5,
        contrast_on: Contrast = 'sum',
        similarity: Similarity = 'cosine',
        edge_dropout: float = 0.0,
        ssl_weight: float = 0.01,
        temperature: float = 0.2,
        reg_weight: float = 1e-7,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            dim,
            num_layers,
            combine,
            edge_dropout,
            ssl_weight,
            temperature,
            reg_weight,
            reg,
        )
        check_count(num_layers=num_layers, rank=rank)
        check_choice('contrast_on', contrast_on, Contrast)
        check_choice('similarity', similarity, Similarity)
        self.rank = rank
        self.contrast_on = contrast_on
        self.similarity = similarity

    def contrast(
        self, graph: BipartiteGraph, layers: list[View], batch: Batch
    ) -> dict[str, Tensor]:
        views = self._propagate_low_rank(graph, layers[:-1])
        if self.contrast_on == 'layers':
            pairs = list(zip(layers[1:], views, strict=True))
        else:
            anchor = self.combine_layers([layers[0], *views])
            pairs = [(anchor, self.combine_layers(layers))]
        total = layers[0][0].new_zeros(())
        for side, index in enumerate((batch[0], torch.cat(batch[1:]))):
            size = max(index.numel(), 1)
            for first, second in pairs:
                a, b = first[side], second[side]
                total = total + self._contrast_nodes(a, b, index) / size
        return {'ssl': self.ssl_weight * total}

    def _contrast_nodes(
        self, first: Tensor, second: Tensor, index: Tensor
    ) -> Tensor:
        if self.similarity == 'cosine':
            return contrast_nodes(first, second, index, self.temperature)
        i, count = index.unique(return_counts=True)
        anchor = first.index_select(0, i) / self.temperature
        positive = second.index_select(0, i)
        attract = (anchor * positive).sum(dim=-1).clamp(-_CLIP, _CLIP)
        repel = log_partition(anchor, second, weight=count)
        loss: Tensor = repel - (attract * count).sum()
        return loss

    def _propagate_low_rank(
        self, graph: BipartiteGraph, layers: list[View]
    ) -> list[View]:
        dtype = torch.promote_types(layers[0][0].dtype, torch.float32)
        p, q = (factor.to(dtype) for factor in low_rank(graph, self.rank))
        with torch.autocast(graph.device.type, enabled=False):
            return [
                (p @ (q.t() @ item.to(dtype)), q @ (p.t() @ user.to(dtype)))
                for user, item in layers
            ]

    def extra_args(self) -> str:
        return (
            f'{super().extra_args()}, rank={self.rank}, '
            f"contrast_on='{self.contrast_on}'"
        )


# Singular values close to the last one that is kept slow the iteration down;
# with these, the view of the Yelp graph is exact to four digits.
_EXTRA, _NUM_ITERS = 10, 20

# Factors already found. An entry lives as long as its graph.
_Factors = dict[int, tuple[int, View]]  # by rank, for a version of weights
_FACTORS: WeakKeyDictionary[BipartiteGraph, _Factors] = WeakKeyDictionary()


def low_rank(graph: BipartiteGraph, rank: int) -> View:
    r"""Two factors whose product :math:`\mathbf{P} \mathbf{Q}^{\top}` is the
    best approximation of the weights of :obj:`graph` of a given rank, by
    subspace iteration from a random start, as in `"Finding Structure with
    Randomness" <https://arxiv.org/abs/0909.4061>`_. Found on first sight of
    the graph, always the same for the same graph.

    Args:
        graph (BipartiteGraph): The graph.
        rank (int): The rank, cut to the smaller of the sizes of
            :obj:`graph`.

    Shapes:
        - **output:** :math:`(U, q)` and :math:`(I, q)`, of dtype
          :obj:`torch.double`
    """
    known = _FACTORS.setdefault(graph, {})
    version = version_of(graph.weight)
    is_new = rank not in known or known[rank][0] != version
    if is_new or is_trained(graph.weight):
        known[rank] = version, _factorize(graph, rank)
    return known[rank][1]


@torch.inference_mode(False)
@torch.no_grad()
def _factorize(graph: BipartiteGraph, rank: int) -> View:
    # A graph of its own does not leave a matrix in double precision behind.
    graph = graph.with_weight(graph.weight.double())
    width = min(rank + _EXTRA, graph.num_users, graph.num_items)
    generator = torch.Generator().manual_seed(0)  # the same for all devices
    user, item = (
        torch.randn(size, width, generator=generator, dtype=torch.double).to(
            graph.device
        )
        for size in (graph.num_users, graph.num_items)
    )
    for _ in range(_NUM_ITERS):
        user, item = graph.propagate(_orthonormal(user), _orthonormal(item))
    user, item = _orthonormal(user), _orthonormal(item)
    # What is left of the matrix between both bases is small and dense.
    core = user.t() @ graph.propagate(user, item)[0]
    left, value, right = torch.linalg.svd(core)
    scale = value[:rank].sqrt()
    user, item = user @ left[:, :rank] * scale, item @ right[:rank].t() * scale
    # Of nodes without interactions there is rounding, which would be a
    # direction if it was made a unit vector.
    user[graph.user_degree == 0] = 0
    item[graph.item_degree == 0] = 0
    return user, item


def _orthonormal(x: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(x)[0]
    return basis
