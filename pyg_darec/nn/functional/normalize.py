import math

import torch
from torch import Tensor


def normalize(x: Tensor) -> Tensor:
    r"""Scales every row to unit length. A row of zeros, or of nothing but
    rounding, stays as it is and gets a finite gradient, which
    :func:`torch.nn.functional.normalize` multiplies by :math:`10^{12}`. Lengths
    of rows in half precision are taken in float32, where their squares neither
    vanish nor overflow.

    Shapes:
        - **x:** :math:`(*, d)`
        - **output:** :math:`(*, d)`
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    square = wide.square().sum(dim=-1, keepdim=True)
    # Below, 2e-13 in float32, the cube of 1 / length in the gradient overflows.
    is_zero = square <= torch.finfo(wide.dtype).tiny ** (2 / 3)
    return (wide * square.masked_fill(is_zero, 1.0).rsqrt()).to(x.dtype)


def unit_rows(x: Tensor) -> Tensor:
    r"""The same as :func:`normalize`, to the last bit, and unit length for rows
    so short or so long that the squares of their values vanish or overflow:
    profiles come from anywhere. It costs a copy more.

    Shapes:
        - **x:** :math:`(*, d)`
        - **output:** :math:`(*, d)`
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    peak = torch.linalg.vector_norm(wide, math.inf, dim=-1, keepdim=True)
    # Times a power of two, which rounds nothing.
    limit = math.frexp(torch.finfo(wide.dtype).max)[1] - 2
    exponent = torch.frexp(peak).exponent.clamp(-limit, limit)
    return normalize(torch.ldexp(wide, -exponent)).to(x.dtype)
