from typing import Literal

import torch
from torch import Tensor

from pyg_darec.checks import check_choice
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.models.base import Penalty, View
from pyg_darec.nn.models.contrast import (
    ContrastiveLightGCN,
    contrast_views,
)
from pyg_darec.nn.models.lightgcn import Combine

Augmentation = Literal['edge_drop', 'node_drop', 'random_walk']


class SGL(ContrastiveLightGCN):
    r"""Self-supervised graph learning from the `"Self-supervised Graph
    Learning for Recommendation" <https://arxiv.org/abs/2010.10783>`_ paper:
    LightGCN on the whole graph, and two randomly thinned views
    :math:`\mathbf{e}'`, :math:`\mathbf{e}''` of each node that have to tell
    it from all other users or items,

    .. math::
        \mathcal{L} = \mathcal{L}_{BPR} + \frac{w}{B} \sum_{(u, p, n)}
        \ell(u) + \ell(p) + \ell(n), \quad
        \ell(v) = -\log \frac{\exp(\cos(\mathbf{e}'_v, \mathbf{e}''_v) / \tau)}
        {\sum_c \exp(\cos(\mathbf{e}'_v, \mathbf{e}''_c) / \tau)},

    with the nodes of the batch as in the RLMRec benchmark. Edges that stay
    keep their weight. (Where it drops nodes, the benchmark's code leaves out
    their input embeddings and keeps their edges; here, as in the paper, they
    have no edges.)

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations.
            (default: :obj:`3`)
        combine (str, optional): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`. (default: :obj:`'sum'`)
        augmentation (str, optional): How a view is thinned:
            :obj:`'edge_drop'` leaves out edges, :obj:`'node_drop'` nodes
            with all their edges, :obj:`'random_walk'` other edges in every
            layer. (default: :obj:`'edge_drop'`)
        drop_ratio (float, optional): The share of edges or nodes that a
            view is without. (default: :obj:`0.2`)
        ssl_weight (float, optional): The weight :math:`w` of the contrast.
            The RLMRec benchmark has 0.1 for two data sets and 0.001 for one.
            (default: :obj:`0.01`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
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
        num_layers: int = 3,
        combine: Combine = 'sum',
        augmentation: Augmentation = 'edge_drop',
        drop_ratio: float = 0.2,
        ssl_weight: float = 0.01,
        temperature: float = 0.2,
        reg_weight: float = 1e-6,
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
        check_choice('augmentation', augmentation, Augmentation)
        if not 0 <= drop_ratio < 1:
            raise ValueError(
                f"'drop_ratio' needs to be in [0, 1) (got {drop_ratio})"
            )
        self.augmentation = augmentation
        self.drop_ratio = drop_ratio

    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        contrast = contrast_views(
            self._view(graph), self._view(graph), batch, self.temperature
        )
        return {'ssl': self.ssl_weight * contrast}

    def _view(self, graph: BipartiteGraph) -> View:
        if self.augmentation == 'random_walk':
            graphs = [
                graph.drop_edges(self.drop_ratio)
                for _ in range(self.num_layers)
            ]
        elif self.augmentation == 'node_drop':
            graphs = [_drop_nodes(graph, self.drop_ratio)] * self.num_layers
        else:
            graphs = [graph.drop_edges(self.drop_ratio)] * self.num_layers
        return self.combine_layers(self.propagate(graphs))


def _drop_nodes(graph: BipartiteGraph, p: float) -> BipartiteGraph:
    user, item = graph.edge_index
    keep = torch.rand(graph.num_nodes, device=graph.device) >= p
    keep_user, keep_item = keep.split([graph.num_users, graph.num_items])
    return graph.with_weight(graph.weight * keep_user[user] * keep_item[item])
