"""The contract of objectives."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from pyg_darec.graph import Batch, BipartiteGraph


class Objective(ABC):
    r"""A loss that rewards the interactions of a batch. It has no
    parameters, so that any model can be given any objective:

    .. code-block:: python

        model.objective = DirectAU(gamma=1.0)

    A subclass is a frozen dataclass and implements :meth:`__call__`.
    """

    name: ClassVar[str]
    """What its term is called where a loss is logged."""

    @abstractmethod
    def __call__(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> Tensor:
        r"""The loss, zero for an empty batch.

        Args:
            graph (BipartiteGraph): The training graph.
            user (torch.Tensor): The user embeddings :math:`(U, d)`.
            item (torch.Tensor): The item embeddings :math:`(I, d)`.
            batch (tuple): Indices :math:`(B)` of users, positive items and
                negative items.
        """
