from typing import NamedTuple

import torch
from torch import Tensor

from pyg_darec.nn.functional.blocks import row_blocks
from pyg_darec.nn.functional.normalize import normalize, unit_rows
from pyg_darec.nn.functional.ridge import LinearMap, ridge_regression

# Chosen on items of two data sets that were held out for it.
_NEIGHBORS = 20
_LENGTH = 0.5
_NOISE = 0.1


class Kriging(NamedTuple):
    r"""What :func:`regression_kriging` found; called with the same kind of
    rows, it predicts :math:`(M, d)` for :math:`(M, D)`.
    """

    center: Tensor
    linear: LinearMap
    x: Tensor  # centred unit rows
    residual: Tensor

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = _directions(x.to(self.x), self.center)
            out = self.linear(x)
            num = min(_NEIGHBORS, self.x.size(0))
            # Of each, cosines with all rows, and copies of the nearest.
            for part in row_blocks(x, max(self.x.size(0), num * x.size(1))):
                out[part] += self._local(x[part], num)
        return out

    def _local(self, x: Tensor, num: int) -> Tensor:
        cosine, near = (x @ self.x.t()).topk(num)
        among = self.x[near]
        covariance = _kernel(among @ among.mT)
        covariance.diagonal(dim1=1, dim2=2).add_(_NOISE)
        weight = torch.linalg.solve(covariance, _kernel(cosine))
        # A missing row is near to none.
        weight = weight * x.any(dim=-1, keepdim=True)
        local: Tensor = torch.bmm(weight.unsqueeze(1), self.residual[near])
        return local.squeeze(1)


@torch.no_grad()
def regression_kriging(x: Tensor, y: Tensor) -> Kriging:
    r"""Learns to predict :obj:`y` from the directions of :obj:`x`, by a
    linear map and by what it left unexplained at the nearest rows
    (`"About regression-kriging" <https://doi.org/10.1016/j.cageo.2007.05.001>`_),

    .. math::
        \hat{\mathbf{y}}(\mathbf{x}) = \mathbf{B}^{\top} \mathbf{x} +
        \mathbf{b} + \mathbf{k}^{\top} \left( \mathbf{K} + 0.1 \, \mathbf{I}
        \right)^{-1} \mathbf{R}, \quad
        k(\mathbf{x}, \mathbf{x}') = \exp \left( \frac{\cos(\mathbf{x},
        \mathbf{x}') - 1}{0.5} \right),

    with :math:`\mathbf{B}, \mathbf{b}` of
    :func:`~pyg_darec.nn.functional.ridge_regression`, and the kernel
    :math:`\mathbf{K}` among the 20 rows that are nearest to
    :math:`\mathbf{x}`, its values :math:`\mathbf{k}` between these and
    :math:`\mathbf{x}`, and their residuals :math:`\mathbf{R}`. Rows are
    made unit vectors, centred by the mean of those given here, and made unit
    vectors again. A row of zeros stands for a missing one; all that is
    predicted for it is :math:`\mathbf{b}`.

    Shapes:
        - **x:** :math:`(N, D)`, at least one row
        - **y:** :math:`(N, d)`
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    y = y.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        center = unit_rows(x).mean(dim=0)
        x = _directions(x, center)
        linear = ridge_regression(x, y)
        return Kriging(center, linear, x, y - linear(x))


def _directions(x: Tensor, center: Tensor) -> Tensor:
    x = unit_rows(x)
    gap = (x - center) * x.any(dim=-1, keepdim=True)
    # Of rows that are all the same, nothing but rounding is left.
    size = gap.square().sum(dim=-1, keepdim=True)
    return normalize(gap * (size > torch.finfo(x.dtype).eps))


def _kernel(cosine: Tensor) -> Tensor:
    return ((cosine - 1) / _LENGTH).exp()
