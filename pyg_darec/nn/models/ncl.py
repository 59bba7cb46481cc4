from typing import Any

import torch
from torch import Tensor

from pyg_darec.checks import check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import info_nce
from pyg_darec.nn.functional.kmeans import lloyd
from pyg_darec.nn.models.base import Penalty, View
from pyg_darec.nn.models.contrast import (
    LayerContrastLightGCN,
    contrast_nodes,
)
from pyg_darec.nn.models.lightgcn import Combine

_NO_CLUSTER = -1


class NCL(LayerContrastLightGCN):
    r"""Neighborhood-enriched contrastive learning from the `"Improving Graph
    Collaborative Filtering with Neighborhood-enriched Contrastive Learning"
    <https://arxiv.org/abs/2202.06200>`_ paper: LightGCN, where what comes
    back to a node from an even number :math:`h` of hops, from users to a
    user and from items to an item, has to find the node among all others,

    .. math::
        \ell_S(v) = -\log \frac
        {\exp(\cos(\mathbf{e}^{(h)}_v, \mathbf{e}^{(0)}_v) / \tau)}
        {\sum_c \exp(\cos(\mathbf{e}^{(h)}_v, \mathbf{e}^{(0)}_c) / \tau)},

    and where a node has to find the prototype :math:`\mathbf{p}_{k(v)}` of
    its cluster among those of all clusters of users or of items,

    .. math::
        \ell_P(v) = -\log \frac
        {\exp(\cos(\mathbf{e}^{(0)}_v, \mathbf{p}_{k(v)}) / \tau)}
        {\sum_k \exp(\cos(\mathbf{e}^{(0)}_v, \mathbf{p}_k) / \tau)},

    for the users and the positive items of the batch,

    .. math::
        \mathcal{L} = \mathcal{L}_{BPR} + \frac{1}{B} \sum_{(u, p, n)}
        w_S \left( \ell_S(u) + \alpha \, \ell_S(p) \right) +
        w_P \left( \ell_P(u) + \ell_P(p) \right).

    Prototypes are the centres of k-means on :math:`\mathbf{e}^{(0)}`,
    constant until :meth:`renew` clusters again at the start of an epoch,
    from the centres of the time before. :func:`~pyg_darec.train.fit` calls
    it; in a loop of your own, without a call to it, there is no prototype
    contrast.

    The authors' code sums over a batch of 4096 where this divides by its
    size: their weights times 4096 are the defaults here. On their selections
    of Yelp and Amazon-Book they use :obj:`temperature=0.05`,
    :obj:`ssl_weight=4e-3`, :obj:`proto_weight=4e-4` and
    :obj:`num_clusters=2000`, with :obj:`alpha=1.5` and :obj:`0.8`, and the
    mean of layers.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations.
            (default: :obj:`3`)
        combine (str, optional): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`. (default: :obj:`'sum'`)
        hop (int, optional): The layer :math:`h` that is contrasted with the
            first one; even. (default: :obj:`2`)
        num_clusters (int, optional): The number of clusters of users, and
            of items; no more than there are of them. (default: :obj:`1000`)
        warm_up (int, optional): The number of epochs before the first
            clustering. (default: :obj:`20`)
        cluster_every (int, optional): The number of epochs between
            clusterings. (default: :obj:`1`)
        num_iters (int, optional): The number of updates of the centres in
            each of them. (default: :obj:`5`)
        edge_dropout (float, optional): The share of interactions that a
            training step leaves out, without rescaling the others.
            (default: :obj:`0.0`)
        ssl_weight (float, optional): The weight :math:`w_S` of the contrast
            with neighbours. (default: :obj:`4e-4`)
        proto_weight (float, optional): The weight :math:`w_P` of the
            contrast with prototypes; 0 clusters nothing.
            (default: :obj:`3e-4`)
        alpha (float, optional): The weight :math:`\alpha` of items in the
            contrast with neighbours. (default: :obj:`1.0`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.1`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-6`)
        reg (str, optional): What is penalised, :obj:`'all'` parameters or
            the embeddings of the :obj:`'batch'`. (default: :obj:`'all'`)

    Shapes:
        - **input:** data with :math:`U` users and :math:`I` items
        - **output:** user embeddings :math:`(U, d)`, item embeddings
          :math:`(I, d)`

    Raises:
        ValueError: If an argument is out of range; fewer than two layers
            have no :obj:`hop`.
    """

    user_cluster: Tensor
    item_cluster: Tensor
    user_prototype: Tensor
    item_prototype: Tensor

    # Whether the buffers hold clusters, which a step on a GPU could not ask
    # them without waiting.
    _is_clustered = False

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        num_layers: int = 3,
        combine: Combine = 'sum',
        hop: int = 2,
        num_clusters: int = 1000,
        warm_up: int = 20,
        cluster_every: int = 1,
        num_iters: int = 5,
        edge_dropout: float = 0.0,
        ssl_weight: float = 4e-4,
        proto_weight: float = 3e-4,
        alpha: float = 1.0,
        temperature: float = 0.1,
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            dim,
            num_layers,
            combine,
            edge_dropout=edge_dropout,
            ssl_weight=ssl_weight,
            temperature=temperature,
            reg_weight=reg_weight,
            reg=reg,
        )
        if hop % 2 == 1 or not 2 <= hop <= num_layers:
            raise ValueError(
                f"'hop' needs to be even and between 2 and 'num_layers', "
                f'{num_layers} (got {hop})'
            )
        for name, size, low in (
            ('num_clusters', num_clusters, 1),
            ('warm_up', warm_up, 0),
            ('cluster_every', cluster_every, 1),
            ('num_iters', num_iters, 1),
        ):
            if size < low:
                raise ValueError(
                    f"'{name}' needs to be at least {low} (got {size})"
                )
        check_weight(proto_weight=proto_weight, alpha=alpha)
        self.hop = hop
        self.num_clusters = num_clusters
        self.warm_up = warm_up
        self.cluster_every = cluster_every
        self.num_iters = num_iters
        self.proto_weight = proto_weight
        self.alpha = alpha
        for kind, num in (('user', num_users), ('item', num_items)):
            cluster = torch.full((num,), _NO_CLUSTER)
            prototype = torch.zeros(min(num_clusters, num), dim)
            self.register_buffer(f'{kind}_cluster', cluster)
            self.register_buffer(f'{kind}_prototype', prototype)
        self.register_load_state_dict_post_hook(_look_for_clusters)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self._is_clustered:
            self._forget_clusters()

    def contrast(
        self, graph: BipartiteGraph, layers: list[View], batch: Batch
    ) -> dict[str, Tensor]:
        near, far = layers[0], layers[self.hop]
        tau, size = self.temperature, max(batch[0].numel(), 1)
        user, item = (
            contrast_nodes(*views, tau)
            for views in zip(far, near, batch[:2], strict=True)
        )
        ssl = user + self.alpha * item
        terms = {'ssl': self.ssl_weight / size * ssl}
        if self._is_clustered:
            proto = near[0].new_zeros(())
            for n, (cluster, prototype) in enumerate(self._clusters()):
                i, count = batch[n].unique(return_counts=True)
                anchor = near[n].index_select(0, i)
                target = prototype.index_select(0, cluster[i])
                proto = proto + info_nce(anchor, target, prototype, tau, count)
            terms['proto'] = self.proto_weight / size * proto
        return terms

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        if step > 0 or self.proto_weight == 0:
            return
        _look_for_clusters(self)
        age = epoch - 1 - self.warm_up
        if age < 0:
            # Those of a run before this one.
            self._forget_clusters()
        elif age % self.cluster_every == 0 or not self._is_clustered:
            self._find_clusters()

    def _clusters(self) -> list[tuple[Tensor, Tensor]]:
        return [
            (self.user_cluster, self.user_prototype),
            (self.item_cluster, self.item_prototype),
        ]

    @torch.no_grad()
    def _find_clusters(self) -> None:
        tables = self.user_embedding.weight, self.item_embedding.weight
        for x, state in zip(tables, self._clusters(), strict=True):
            cluster, prototype = state
            start = prototype
            if not self._is_clustered:
                some = torch.randperm(x.size(0), device=x.device)
                start = x[some[: prototype.size(0)]]
            nearest, center = lloyd(x, start, self.num_iters)
            cluster.copy_(nearest)
            prototype.copy_(center)
        self._is_clustered = True

    def _forget_clusters(self) -> None:
        for cluster, prototype in self._clusters():
            cluster.fill_(_NO_CLUSTER)
            prototype.zero_()
        self._is_clustered = False


def _look_for_clusters(model: NCL, keys: Any = None) -> None:
    """Also a hook on 'load_state_dict', and called with what that lacked."""
    model._is_clustered = bool(model.user_cluster[0] != _NO_CLUSTER)
