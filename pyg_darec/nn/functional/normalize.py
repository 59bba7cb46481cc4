import torch
from torch import Tensor


def normalize(x: Tensor) -> Tensor:
    r"""Scales every row to unit length; a zero row stays zero and gets a
    finite gradient, which :func:`torch.nn.functional.normalize` multiplies
    by :math:`10^{12}`.

    Shapes:
        - **x:** :math:`(*, d)`
        - **output:** :math:`(*, d)`
    """
    square = x.square().sum(dim=-1, keepdim=True)
    is_zero = square <= torch.finfo(x.dtype).tiny
    return x * square.masked_fill(is_zero, 1.0).rsqrt()
