"""How much of its space a set of embeddings makes use of."""

import torch
from torch import Tensor

from pyg_darec.nn.functional.normalize import normalize


def effective_rank(x: Tensor) -> Tensor:
    r"""The number of dimensions that embeddings spread over, from the `"The
    Effective Rank: A Measure of Effective Dimensionality"
    <https://doi.org/10.5281/zenodo.40592>`_ paper,

    .. math::
        \exp \left( - \sum_k p_k \log p_k \right), \quad
        p_k = \frac{\sigma_k}{\sum_j \sigma_j},

    with the singular values :math:`\sigma_k` of the embeddings less their
    mean: :math:`\min(N, d)` at most, 1 for points on a line, and 0 where all
    coincide.

    Shapes:
        - **x:** :math:`(N, d)`
        - **output:** a scalar, in double precision
    """
    x = x.double()
    center = x - x.mean(dim=0)
    value = torch.linalg.svdvals(center)
    # What centring leaves of points that coincide.
    noise = torch.finfo(x.dtype).eps * max(x.shape) * torch.linalg.norm(x)
    value = value[value > noise]
    if value.numel() == 0:
        return x.new_zeros(())
    p = value / value.sum()
    out: Tensor = (-(p * p.log()).sum()).exp()
    return out


def mean_cosine(x: Tensor) -> Tensor:
    r"""The mean cosine of all pairs of two different embeddings, without
    forming the pairs: 1 where all point the same way. A row of zeros has
    cosine 0 to all.

    Shapes:
        - **x:** :math:`(N, d)`, at least two rows
        - **output:** a scalar, in double precision
    """
    x = normalize(x.double())
    num = x.size(0)
    total = x.sum(dim=0).square().sum() - x.square().sum()
    out: Tensor = total / (num * (num - 1))
    return out
