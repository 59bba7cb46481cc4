from typing import NamedTuple

import torch
from torch import Tensor

# Candidates for the penalty, for rows of unit length.
_PENALTIES = tuple(10.0 ** (n / 2) for n in range(-6, 9))


class LinearMap(NamedTuple):
    r"""An affine map :math:`\mathbf{x} \mapsto \mathbf{B}^{\top} \mathbf{x} +
    \mathbf{b}` and the penalty that it was found with.
    """

    weight: Tensor
    bias: Tensor
    penalty: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


@torch.no_grad()
def ridge_regression(x: Tensor, y: Tensor) -> LinearMap:
    r"""The linear map from :obj:`x` to :obj:`y` with the least

    .. math::
        \sum_i \left\Vert \mathbf{B}^{\top} \mathbf{x}_i + \mathbf{b} -
        \mathbf{y}_i \right\Vert^2 + \lambda \Vert \mathbf{B} \Vert_F^2

    and the penalty :math:`\lambda`, out of :math:`10^{-3}` to :math:`10^4`,
    that predicts rows best that were left out of the fit one at a time, by
    the closed form of that error (`Allen, 1974
    <https://doi.org/10.1080/00401706.1974.10489157>`_). Means are not
    penalised. Meant for unit rows.

    Shapes:
        - **x:** :math:`(N, D)`, at least one row
        - **y:** :math:`(N, d)`
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, y = x.to(dtype), y.to(dtype)
    with torch.autocast(x.device.type, enabled=False):
        mean_x, mean_y = x.mean(dim=0), y.mean(dim=0)
        x, y = x - mean_x, y - mean_y
        square, vectors = torch.linalg.eigh(x.t() @ x)
        square = square.clamp(min=0)
        rotated = x @ vectors
        target, leverage = rotated.t() @ y, rotated.square()
        errors = []
        for penalty in _PENALTIES:
            shrunk = 1 / (square + penalty)
            rest = y - rotated @ (shrunk.unsqueeze(1) * target)
            # The mean is fitted as well: each row has its share of it.
            left = 1 - leverage @ shrunk - 1 / x.size(0)
            ratio = rest / left.clamp(min=1e-6).unsqueeze(1)
            errors.append(ratio.square().sum())
        best = _PENALTIES[int(torch.stack(errors).argmin())]
        shrunk = 1 / (square + best)
        weight = vectors @ (shrunk.unsqueeze(1) * target)
        return LinearMap(weight, mean_y - mean_x @ weight, best)
