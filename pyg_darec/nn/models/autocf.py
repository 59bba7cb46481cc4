from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, ModuleList
from torch.nn.init import xavier_uniform_

from pyg_darec.checks import check_count, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import log_partition
from pyg_darec.nn.functional.edge_attention import edge_attention
from pyg_darec.nn.models._autocf_masking import (
    Scene,
    center_scores,
    full_scene,
    masked_scene,
)
from pyg_darec.nn.models.base import Backbone, Penalty
from pyg_darec.nn.objectives import Objective
from pyg_darec.nn.recommender import Step


class AutoCF(Backbone):
    r"""The masked graph autoencoder from the `"Automated Self-Supervised
    Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_ paper,
    in the form of the RLMRec benchmark.

    Every few steps, seeds are drawn that fit their surroundings, which are
    their first and second neighbours :math:`\mathcal{N}_2(v)`,

    .. math::
        s_v = \log \textrm{sigmoid} \cos \Big( \mathbf{e}^{(0)}_v,
        \sum_{c \in \mathcal{N}_2(v)} \mathbf{e}^{(0)}_c \Big), \quad
        \mathcal{S} = \textrm{top-}S (s_v + g_v), \quad
        g_v \sim \textrm{Gumbel}(0, 1).

    All edges of the seeds and of their neighbours are hidden. What is left
    is encoded as in :class:`LightGCN`, normalised by the degrees that are
    left,

    .. math::
        \mathbf{E}^{(l+1)} = \mathbf{A}' \mathbf{E}^{(l)},

    and decoded by attention over its edges, over every node itself and over
    random edges between masked nodes: the seeds, their neighbours and a
    share of all nodes. A layer with heads :math:`h` is

    .. math::
        \mathbf{e}^{(l+1)}_v = \Big\Vert_h \sum_c
        \frac{w^h_{vc}}{\sum_{c'} w^h_{vc'}} \mathbf{V}^h \mathbf{e}^{(l)}_c,
        \quad w^h_{vc} = \exp \langle \mathbf{Q}^h \mathbf{e}^{(l)}_v,
        \mathbf{K}^h \mathbf{e}^{(l)}_c \rangle,

    with logits clamped to :math:`\pm 10`. Embeddings are the sum of all
    layers, and the loss of :math:`B` interactions is

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_{(u, p)} \Big( \langle \mathbf{e}_u,
        \mathbf{e}_p \rangle - \ell(u, \mathcal{I}) \Big) + w \Big(
        \textrm{mean}_u \, \ell(u, \mathcal{U}) +
        \textrm{mean}_p \, \ell(p, \mathcal{I}) \Big), \quad
        \ell(v, \mathcal{C}) = \log \sum_{c \in \mathcal{C}}
        \exp \langle \mathbf{e}_v, \mathbf{e}_c \rangle,

    where the means are over distinct nodes, plus :math:`-\textrm{mean}_v s_v`
    in steps whose masks are new. In evaluation nothing is hidden or random:
    the decoder attends over the interactions.

    This is an objective of its own, in which no negative items are drawn:
    :attr:`objective` is not used and cannot be assigned. :meth:`renew` draws
    the masks. In a loop that never calls it, the first loss does, they stay,
    and the last term of the loss is left out.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations of the
            encoder; with 0, the decoder works on the input embeddings.
            (default: :obj:`2`)
        num_decoder_layers (int, optional): The number of attention layers.
            (default: :obj:`1`)
        num_heads (int, optional): The number of attention heads, a divisor
            of :obj:`dim`. (default: :obj:`4`)
        num_seeds (int, optional): The number of seeds :math:`S`; in a
            smaller graph, every node is one. (default: :obj:`100`)
        mask_depth (int, optional): Edges of nodes that are fewer hops than
            this from a seed are hidden: with 1, those of the seeds, with 2,
            also those of their neighbours. (default: :obj:`2`)
        mask_every (int, optional): The number of steps with the same masks.
            They are also drawn anew in every epoch. (default: :obj:`10`)
        keep_rate (float, optional): The share of nodes, drawn with
            replacement, that get random edges besides the masked ones.
            (default: :obj:`0.2`)
        ssl_weight (float, optional): The weight :math:`w`.
            (default: :obj:`5.0`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-6`)
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
        num_decoder_layers: int = 1,
        num_heads: int = 4,
        num_seeds: int = 100,
        mask_depth: int = 2,
        mask_every: int = 10,
        keep_rate: float = 0.2,
        ssl_weight: float = 5.0,
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(num_users, num_items, dim, num_layers, reg_weight, reg)
        check_count(
            num_decoder_layers=num_decoder_layers,
            num_heads=num_heads,
            num_seeds=num_seeds,
            mask_depth=mask_depth,
            mask_every=mask_every,
        )
        if dim % num_heads != 0:
            raise ValueError(
                f"'num_heads' needs to divide 'dim', {dim} (got {num_heads})"
            )
        if not 0 <= keep_rate <= 1:
            raise ValueError(
                f"'keep_rate' needs to be in [0, 1] (got {keep_rate})"
            )
        check_weight(ssl_weight=ssl_weight)
        self.num_heads = num_heads
        self.num_seeds = num_seeds
        self.mask_depth = mask_depth
        self.mask_every = mask_every
        self.keep_rate = keep_rate
        self.ssl_weight = ssl_weight
        self.query, self.key, self.value = (
            ModuleList(
                [
                    Linear(dim, dim, bias=False)
                    for _ in range(num_decoder_layers)
                ]
            )
            for _ in range(3)
        )
        self._full: Scene | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        # Masks are drawn by what the embeddings were.
        self._masked: Scene | None = None
        self._has_new_masks = False
        for linear in [*self.query, *self.key, *self.value]:
            xavier_uniform_(linear.weight)

    def check_objective(self, objective: Objective) -> None:
        raise AttributeError(
            f"'{type(self).__name__}' has an objective of its own, which "
            "cannot be replaced; choose another backbone, such as 'LightGCN' "
            f'(got {objective!r})'
        )

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        self._has_new_masks = step % self.mask_every == 0
        if self._has_new_masks:
            self._masked = self._mask(self._graph(graph))

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        self.check_size(graph)
        scene = self._scene(graph)
        pair = self.user_embedding.weight, self.item_embedding.weight
        total = x = torch.cat(pair)
        for _ in range(self.num_layers):
            pair = scene.encoder.propagate(*pair)
            x = torch.cat(pair)
            total = total + x
        for query, key, value in zip(
            self.query, self.key, self.value, strict=True
        ):
            x = edge_attention(
                query(x), key(x), value(x), scene.decoder, self.num_heads
            )
            total = total + x
        user, item = total.split([self.num_users, self.num_items])
        return user, item

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        out = super().step(graph, batch)
        if self.training and self._has_new_masks:
            out.terms['infomax'] = -self._scores(graph).mean()
        return out

    def supervise(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        u, pos, _ = batch
        size = max(u.numel(), 1)
        score = (user.index_select(0, u) * item.index_select(0, pos)).sum()
        # Repeated users are compared once and count as often as they occur.
        u, count = u.unique(return_counts=True)
        pos = pos.unique()
        anchor = user.index_select(0, u)
        own = log_partition(anchor, user) / max(u.numel(), 1)
        bought = item.index_select(0, pos)
        own = own + log_partition(bought, item) / max(pos.numel(), 1)
        contrast = log_partition(anchor, item, count) / size
        return {
            'rec': -score / size,
            'contrast': contrast + self.ssl_weight * own,
        }

    def _scores(self, graph: BipartiteGraph) -> Tensor:
        user, item = self.user_embedding.weight, self.item_embedding.weight
        return center_scores(graph, user, item)

    def _scene(self, graph: BipartiteGraph) -> Scene:
        if not self.training:
            if self._full is None or not self._full.fits(graph):
                self._full = full_scene(graph)
            return self._full._replace(encoder=graph)
        if self._masked is None or not self._masked.fits(graph):
            self._masked, self._has_new_masks = self._mask(graph), False
        return self._masked

    @torch.no_grad()
    def _mask(self, graph: BipartiteGraph) -> Scene:
        self.check_size(graph)
        score = self._scores(graph)
        noise = -torch.empty_like(score).exponential_().log()
        num = min(self.num_seeds, graph.num_nodes)
        seeds = (score + noise).topk(num).indices
        return masked_scene(graph, seeds, self.mask_depth, self.keep_rate)

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the model is not one of the graph.
        forgotten = {'_masked': None, '_full': None, '_has_new_masks': False}
        return {**self.__dict__, **forgotten}

    def extra_args(self) -> str:
        return (
            f'{super().extra_args()}, num_heads={self.num_heads}, '
            f'num_seeds={self.num_seeds}, mask_depth={self.mask_depth}, '
            f'mask_every={self.mask_every}, keep_rate={self.keep_rate}, '
            f'ssl_weight={self.ssl_weight}'
        )
