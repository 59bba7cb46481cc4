from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import bpr_loss
from pyg_darec.nn.objectives.base import Objective


@dataclass(frozen=True)
class BPR(Objective):
    r"""Bayesian personalised ranking, with one negative to a positive:
    :func:`~pyg_darec.nn.functional.bpr_loss`. The default of all models and
    the setting of the reference figures.
    """

    name: ClassVar[str] = 'bpr'

    def __call__(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> Tensor:
        return bpr_loss(user, item, batch)
