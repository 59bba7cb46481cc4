import torch
from torch import Tensor

from pyg_darec.checks import check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.models.base import Penalty, View
from pyg_darec.nn.models.contrast import (
    ContrastiveLightGCN,
    contrast_views,
)
from pyg_darec.nn.models.lightgcn import Combine


class SimGCL(ContrastiveLightGCN):
    r"""Simple graph contrastive learning from the `"Are Graph Augmentations
    Necessary? Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2112.08679>`_ paper: LightGCN, and two views of each
    node in which every layer is shifted by random noise of length
    :math:`\epsilon` that stays in its orthant,

    .. math::
        \mathbf{e}'^{(l)}_v = \mathbf{e}^{(l)}_v + \epsilon
        \frac{\mathbf{r}}{\Vert \mathbf{r} \Vert} \odot
        \textrm{sign}(\mathbf{e}^{(l)}_v), \quad
        \mathbf{r} \sim U(0, 1)^d,

    contrasted as in :class:`SGL`, for the users and the positive items of
    the batch.

    This is the form of the RLMRec benchmark. The authors' code takes the mean
    of the layers after the first in scores and in views, and candidates of
    the batch alone.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations.
            (default: :obj:`3`)
        combine (str, optional): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`. (default: :obj:`'sum'`)
        eps (float, optional): The length :math:`\epsilon` of the noise.
            (default: :obj:`0.9`)
        ssl_weight (float, optional): The weight of the contrast.
            (default: :obj:`0.1`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-5`)
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
        num_layers: int = 3,
        combine: Combine = 'sum',
        eps: float = 0.9,
        ssl_weight: float = 0.1,
        temperature: float = 0.2,
        reg_weight: float = 1e-5,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            dim,
            num_layers,
            combine,
            edge_dropout=0.0,
            ssl_weight=ssl_weight,
            temperature=temperature,
            reg_weight=reg_weight,
            reg=reg,
        )
        check_weight(eps=eps)
        self.eps = eps

    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        user, pos, _ = batch
        contrast = contrast_views(
            self._view(graph), self._view(graph), (user, pos), self.temperature
        )
        return {'ssl': self.ssl_weight * contrast}

    def _view(self, graph: BipartiteGraph) -> View:
        graphs = [graph] * self.num_layers
        return self.combine_layers(self.propagate(graphs, self._shift))

    def _shift(self, x: Tensor) -> Tensor:
        return x + self.eps * normalize(torch.rand_like(x)) * x.sign()
