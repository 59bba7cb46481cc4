"""What the contrastive backbones share."""

from abc import abstractmethod

import torch
from torch import Tensor

from pyg_darec.checks import check_positive, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import info_nce
from pyg_darec.nn.models.base import Penalty, View
from pyg_darec.nn.models.lightgcn import Combine, LightGCN
from pyg_darec.nn.recommender import Recommender, Step, add_terms


class ContrastiveLightGCN(LightGCN):
    r"""LightGCN with a contrastive term beside its own objective.

    A subclass implements :meth:`auxiliary`.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int): The width of the embeddings.
        num_layers (int): The number of propagations.
        combine (str): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`.
        edge_dropout (float): The share of interactions that a training step
            leaves out of the propagation that is scored.
        ssl_weight (float): The weight of the contrast.
        temperature (float): The temperature :math:`\tau`.
        reg_weight (float): The weight of the :math:`\ell_2` penalty.
        reg (str): What is penalised, :obj:`'all'` parameters or the
            embeddings of the :obj:`'batch'`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int,
        num_layers: int,
        combine: Combine,
        edge_dropout: float,
        ssl_weight: float,
        temperature: float,
        reg_weight: float,
        reg: Penalty,
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            dim,
            num_layers,
            combine,
            edge_dropout,
            reg_weight,
            reg,
        )
        check_weight(ssl_weight=ssl_weight)
        check_positive(temperature=temperature)
        self.ssl_weight = ssl_weight
        self.temperature = temperature

    @abstractmethod
    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]: ...


class LayerContrastLightGCN(ContrastiveLightGCN):
    r"""One whose contrast is about the layers of the propagation that is
    scored, so that a step propagates once for both.

    A subclass implements :meth:`contrast`.
    """

    @abstractmethod
    def contrast(
        self, graph: BipartiteGraph, layers: list[View], batch: Batch
    ) -> dict[str, Tensor]:
        r"""The weighted contrastive terms of one step.

        Args:
            graph (BipartiteGraph): The training graph.
            layers (list): The layers of the propagation that is scored.
            batch (tuple): Users, positive items and negative items.
        """

    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        return self.contrast(graph, self.layers(graph), batch)

    @property
    def has_own_step(self) -> bool:
        return type(self).step is not LayerContrastLightGCN.step

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        cls = type(self)
        if (
            cls.encode is not LightGCN.encode
            or cls.auxiliary is not LayerContrastLightGCN.auxiliary
        ):
            return Recommender.step(self, graph, batch)
        # The same, with one propagation for both.
        layers = self.layers(graph)
        user, item = self.combine_layers(layers)
        terms = self.supervise(graph, user, item, batch)
        terms = add_terms(terms, self.contrast(graph, layers, batch))
        return Step(terms, user, item)


def contrast_nodes(
    first: Tensor, second: Tensor, index: Tensor, temperature: float
) -> Tensor:
    r"""The InfoNCE loss between two views of the nodes in :obj:`index`, each
    against all nodes of the second view, summed over :obj:`index`.

    Args:
        first (torch.Tensor): The embeddings :math:`(N, d)` of the one view.
        second (torch.Tensor): The embeddings :math:`(N, d)` of the other.
        index (torch.Tensor): The nodes :math:`(B)`.
        temperature (float): The temperature.
    """
    # Repeated nodes are compared once and count as often as they occur.
    i, count = index.unique(return_counts=True)
    a, b = first.index_select(0, i), second.index_select(0, i)
    return info_nce(a, b, second, temperature, count)


def contrast_views(
    first: View,
    second: View,
    batch: tuple[Tensor, ...],
    temperature: float,
) -> Tensor:
    r"""The sum of :func:`contrast_nodes` over the users and the items of a
    batch, divided by its size.

    Args:
        first (tuple): User and item embeddings of the one view.
        second (tuple): User and item embeddings of the other.
        batch (tuple): Users, then one or more index tensors of items, all
            of one length.
        temperature (float): The temperature.
    """
    groups = batch[0], torch.cat(batch[1:])
    user, item = (
        contrast_nodes(a, b, index, temperature)
        for a, b, index in zip(first, second, groups, strict=True)
    )
    return (user + item) / max(batch[0].numel(), 1)
