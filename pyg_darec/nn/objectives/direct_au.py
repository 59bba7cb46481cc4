from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pyg_darec.checks import check_positive, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import direct_au_loss
from pyg_darec.nn.objectives.base import Objective


@dataclass(frozen=True)
class DirectAU(Objective):
    r"""Alignment and uniformity, without negatives:
    :func:`~pyg_darec.nn.functional.direct_au_loss`.

    Args:
        gamma (float, optional): The weight of the uniformity. The paper
            chooses it anew for each dataset. (default: :obj:`1.0`)
        t (float, optional): The sharpness of the uniformity.
            (default: :obj:`2.0`)

    Raises:
        ValueError: If :obj:`gamma` is negative or :obj:`t` is not positive.
    """

    gamma: float = 1.0
    t: float = 2.0

    name: ClassVar[str] = 'direct_au'

    def __post_init__(self) -> None:
        check_weight(gamma=self.gamma)
        check_positive(t=self.t)

    def __call__(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> Tensor:
        return direct_au_loss(user, item, batch, self.gamma, self.t)
