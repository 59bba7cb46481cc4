from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import bce_loss
from pyg_darec.nn.objectives.base import Objective


@dataclass(frozen=True)
class BCE(Objective):
    r"""Binary cross-entropy, with one negative to a positive:
    :func:`~pyg_darec.nn.functional.bce_loss`.
    """

    name: ClassVar[str] = 'bce'

    def __call__(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> Tensor:
        return bce_loss(user, item, batch)
