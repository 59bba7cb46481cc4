"""Which nodes have a profile."""

from typing import NamedTuple

import torch
from torch import Tensor


class Profiled(NamedTuple):
    r"""The nodes of one type that have a profile, where some have none.

    Shapes:
        - **mask:** :math:`(N)`
        - **nodes:** :math:`(M)`, ascending; once more on the host, which
          draws nodes without waiting for a device
    """

    mask: Tensor
    nodes: Tensor
    host_nodes: Tensor


@torch.inference_mode(False)
def find_profiled(x: Tensor) -> Profiled | None:
    r"""The rows of profile embeddings :math:`(N, D)` that are not all zeros;
    :obj:`None` if no row is, and nobody needs to be left out.
    """
    mask = x.any(dim=1)
    nodes = mask.nonzero().view(-1)
    if nodes.numel() == mask.numel():
        return None
    return Profiled(mask, nodes, nodes.cpu())
