"""Uniformity: like the terms in ``partition``, from a matrix of all pairs that
is visited in blocks and never kept.
"""

import math
from typing import Any

import torch
from torch import Tensor

from pyg_darec.autograd import once_differentiable
from pyg_darec.nn.functional.blocks import blocks
from pyg_darec.nn.functional.normalize import normalize
from pyg_darec.operators import operator

# Terms are at least exp(-4t): up to here, that is far from underflow.
_SAFE = 20.0


@operator(
    'log_potential(Tensor x, float t) -> (Tensor, Tensor)',
    fake=lambda x, t: (x.new_empty(()), x.new_empty(x.shape)),
)
def _log_potential(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """The value and its gradient."""
    total, grad = x.new_zeros(()), x.new_zeros(x.shape)
    # The largest exponent so far, where it is taken off.
    peak = x.new_full((), -math.inf if t > _SAFE else 0.0)
    shift, scaled = x.new_full((1,), -2 * t), 2 * t * x
    extended = torch.nn.functional.pad(x, (0, 1), value=1.0)
    for part in blocks(x, x):
        # The matrix is symmetric: blocks left of the diagonal one are
        # the transposes of blocks that were seen before.
        start, size = part.start, x[part].size(0)
        p = torch.addmm(shift, scaled[part], x[start:].t())
        p[:, :size].fill_diagonal_(-math.inf)
        if t > _SAFE:
            # Another pass over the block that a small 't' does without.
            top = torch.maximum(peak, p.amax())
            p -= top
            decay = (peak - top).exp()
            total, grad, peak = total * decay, grad.mul_(decay), top
        p.exp_()
        moment = p @ extended[start:]
        total += 2 * moment[:, -1].sum() - p[:, :size].sum()
        grad[part] += moment[:, :-1]
        grad[start + size :].addmm_(p[:, size:].t(), x[part])
    return total.log() + peak, grad.mul_(4 * t / total)


class _LogPotential(torch.autograd.Function):
    """``log sum_{i != j} exp(2t (<x_i, x_j> - 1))`` for unit rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, t: float) -> Tensor:
        out, grad = _log_potential(x, t)
        ctx.save_for_backward(out, grad)
        value: Tensor = out
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.saved_tensors[1], None


def uniformity(x: Tensor, t: float = 2.0) -> Tensor:
    r"""The uniformity of the `"Understanding Contrastive Representation
    Learning through Alignment and Uniformity on the Hypersphere"
    <https://arxiv.org/abs/2005.10242>`_ paper,

    .. math::
        \mathcal{L}_{uni} = \log \frac{1}{N (N - 1)} \sum_{i \neq j}
        \exp \left( -t \left\Vert
        \frac{\mathbf{x}_i}{\Vert \mathbf{x}_i \Vert} -
        \frac{\mathbf{x}_j}{\Vert \mathbf{x}_j \Vert} \right\Vert^2 \right),

    lower where points spread out: 0 when all coincide. Keeps no
    :math:`(N, N)` matrix; zero for fewer than two rows. Differentiable
    once.

    Args:
        x (torch.Tensor): The points, of any length; a zero row counts as
            orthogonal to all others.
        t (float, optional): The sharpness. (default: :obj:`2.0`)

    Shapes:
        - **x:** :math:`(N, d)`
        - **output:** :math:`()`
    """
    num = x.size(0)
    if num < 2:
        return x.sum() * 0
    dtype = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        potential: Tensor = _LogPotential.apply(normalize(x.to(dtype)), t)
    return potential - math.log(num * (num - 1))
