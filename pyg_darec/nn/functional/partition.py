r"""What contrasts are divided by. They are log-sum-exps over a similarity
matrix that is visited in blocks and never kept: the gradient of each is a
product of the same block, so it is accumulated in the forward pass, where the
exponentials are at hand. Memory is linear in the number of rows.
"""

import math
from typing import Any

import torch
from torch import Tensor

from pyg_darec.autograd import once_differentiable
from pyg_darec.checks import check_constant, check_shape
from pyg_darec.nn.functional.blocks import blocks
from pyg_darec.operators import operator

# Logits up to here need no shift: a sum of a billion exponentials is finite in
# every dtype with the range of float32.
_SAFE = 40.0


def _fake(x: Tensor, y: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(()), x.new_empty(x.shape), y.new_empty(y.shape)


def _add_product(total: Tensor, x: Tensor, y: Tensor) -> None:
    """Adds to what may have more digits than the factors."""
    if total.dtype == x.dtype:
        total.addmm_(x, y)
    else:
        total += x @ y


class _LogSumExp(torch.autograd.Function):
    """What is returned with its gradients with respect to the first two
    arguments, which its forward pass saves behind it.
    """

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, grad_x, grad_y = ctx.saved_tensors
        others = [None] * (len(ctx.needs_input_grad) - 2)
        return grad * grad_x, grad * grad_y, *others


@operator(
    'log_sum_exp(Tensor anchor, Tensor candidate, Tensor m, Tensor w,'
    ' float limit, ScalarType dtype, bool both) -> (Tensor, Tensor, Tensor)',
    fake=_fake,
)
def _log_sum_exp(
    anchor: Tensor,
    candidate: Tensor,
    m: Tensor,
    w: Tensor,
    limit: float,
    dtype: torch.dtype,
    both: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The value and its gradients with respect to anchors and candidates."""
    total = anchor.new_zeros(())
    grad_a = anchor.new_empty(anchor.shape)
    grad_c = candidate.new_zeros(candidate.shape)
    if anchor.size(0) == 0:
        return total, grad_a, grad_c
    most = m.amax()
    m = m / most
    left, right = anchor.to(dtype), candidate.t().to(dtype).contiguous()
    low_m = m.to(dtype)
    value = (candidate * m.unsqueeze(1)).to(dtype)
    buffer = left.new_empty(0)
    for part in blocks(anchor, candidate):
        p = torch.mm(left[part], right, out=buffer.resize_(0))
        # Another pass over the block that small logits do without.
        top = p.amax(dim=1) if limit > _SAFE else None
        if top is not None:
            p -= top.unsqueeze(1)
        norm = (p.exp_() @ low_m).to(anchor.dtype)
        log_norm = norm.log() + (0 if top is None else top)
        total += (w[part] * log_norm).sum()
        scale = (w[part] / norm).unsqueeze(1)
        torch.mul(p @ value, scale, out=grad_a[part])
        if both:
            pull = (anchor[part] * scale).to(dtype)
            _add_product(grad_c, p.t(), pull)
    return total + w.sum() * most.log(), grad_a, grad_c.mul_(m.unsqueeze(1))


class _WeightedLogSumExp(_LogSumExp):
    """``sum_i w_i log sum_j m_j exp(<a_i, c_j>)``, with the products over all
    pairs in a dtype of their own.
    """

    @staticmethod
    def forward(
        ctx: Any,
        anchor: Tensor,
        candidate: Tensor,
        m: Tensor,
        w: Tensor,
        limit: float,
        dtype: torch.dtype,
    ) -> Tensor:
        both = ctx.needs_input_grad[1]
        out, grad_a, grad_c = _log_sum_exp(
            anchor, candidate, m, w, limit, dtype, both
        )
        ctx.save_for_backward(out, grad_a, grad_c)
        value: Tensor = out
        return value


@operator(
    'symmetric_log_sum_exp(Tensor x, Tensor y, Tensor m, Tensor n,'
    ' ScalarType dtype) -> (Tensor, Tensor, Tensor)',
    fake=_fake,
)
def _symmetric_log_sum_exp(
    x: Tensor, y: Tensor, m: Tensor, n: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """The value and its gradients with respect to both sides. Sums of columns
    are known after the last block only, so that gradients take a second visit.
    """
    left, right = x.to(dtype), y.t().to(dtype).contiguous()
    low_m, low_n = m.to(dtype), n.to(dtype)
    row, col = x.new_empty(x.size(0)), y.new_zeros(y.size(0))
    buffer, share = left.new_empty(0), left.new_empty(0)
    for part in blocks(x, y):
        p = torch.mm(left[part], right, out=buffer.resize_(0)).exp_()
        row[part] = (p @ low_n).to(row.dtype)
        col += p.t() @ low_m[part]
    total = (m * row.log()).sum() + (n * col.log()).sum()
    per_row = row.reciprocal().to(dtype).unsqueeze(1)
    per_col = col.reciprocal().to(dtype)
    value_x = (x * m.unsqueeze(1)).to(dtype)
    value_y = (y * n.unsqueeze(1)).to(dtype)
    grad_x, grad_y = x.new_empty(x.shape), y.new_zeros(y.shape)
    for part in blocks(x, y):
        p = torch.mm(left[part], right, out=buffer.resize_(0)).exp_()
        p *= torch.add(per_row[part], per_col, out=share.resize_(0))
        torch.mul(p @ value_y, m[part].unsqueeze(1), out=grad_x[part])
        _add_product(grad_y, p.t(), value_x[part])
    return total, grad_x, grad_y.mul_(n.unsqueeze(1))


class _SymmetricLogSumExp(_LogSumExp):
    """``sum_i m_i log sum_j n_j exp(<x_i, y_j>)`` and the same with the sides
    swapped, with the products over all pairs in a dtype of their own.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        m: Tensor,
        n: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        out, grad_x, grad_y = _symmetric_log_sum_exp(x, y, m, n, dtype)
        ctx.save_for_backward(out, grad_x, grad_y)
        value: Tensor = out
        return value


def log_partition(
    anchor: Tensor,
    candidate: Tensor,
    weight: Tensor | None = None,
    multiplicity: Tensor | None = None,
) -> Tensor:
    r"""What a softmax over inner products is divided by, in logarithm and
    summed over anchors,

    .. math::
        \sum_i w_i \log \sum_j m_j \exp
        \langle \mathbf{a}_i, \mathbf{c}_j \rangle.

    Finite for inner products of any size, and without an :math:`(A, C)`
    matrix that is kept. Differentiable once, in both embeddings.

    Args:
        anchor (torch.Tensor): The anchors.
        candidate (torch.Tensor): The candidates, at least one.
        weight (torch.Tensor, optional): How often each anchor counts.
            (default: :obj:`None`)
        multiplicity (torch.Tensor, optional): How often each candidate
            counts; positive. (default: :obj:`None`)

    Shapes:
        - **anchor:** :math:`(A, d)`
        - **candidate:** :math:`(C, d)`
        - **weight:** :math:`(A)`
        - **multiplicity:** :math:`(C)`
        - **output:** :math:`()`

    Raises:
        ValueError: If weights or multiplicities have another shape, or
            require a gradient.
    """
    check_constant(weight=weight, multiplicity=multiplicity)
    if anchor.size(0) == 0:
        return anchor.sum()
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    a, c = anchor.to(dtype), candidate.to(dtype)
    limit = math.inf
    if a.device.type == 'cpu':
        # On a GPU, the host would have to wait for the answer.
        peaks = (x.detach().norm(dim=-1).amax() for x in (a, c))
        limit = math.prod(float(peak) for peak in peaks)
    return weighted_log_partition(a, c, weight, multiplicity, limit)


def weighted_log_partition(
    a: Tensor,
    c: Tensor,
    weight: Tensor | None,
    multiplicity: Tensor | None,
    limit: float,
) -> Tensor:
    r"""As :func:`log_partition`, of floats of at least 32 bits whose inner
    products are at most :obj:`limit`.
    """
    w = a.new_ones(a.size(0)) if weight is None else weight.to(a.dtype)
    m = c.new_ones(c.size(0)) if multiplicity is None else multiplicity
    check_shape(a.shape[:1], weight=w)
    check_shape(c.shape[:1], multiplicity=m)
    dtype = _product_dtype(a, limit)
    with torch.autocast(a.device.type, enabled=False):
        out: Tensor = _WeightedLogSumExp.apply(
            a, c, m.to(a.dtype), w, limit, dtype
        )
    return out


def symmetric_log_partition(
    x: Tensor, y: Tensor, m: Tensor, n: Tensor, limit: float
) -> Tensor:
    r"""The log partitions in both directions, of rows of :obj:`x` that occur
    :obj:`m` times and rows of :obj:`y` that occur :obj:`n` times,

    .. math::
        \sum_i m_i \log \sum_j n_j \exp \langle \mathbf{x}_i, \mathbf{y}_j
        \rangle + \sum_j n_j \log \sum_i m_i \exp \langle \mathbf{x}_i,
        \mathbf{y}_j \rangle.

    Both sides are floats of at least 32 bits, not empty, and their inner
    products at most :obj:`limit`.
    """
    if limit > _SAFE:
        there = weighted_log_partition(x, y, m, n, limit)
        return there + weighted_log_partition(y, x, n, m, limit)
    dtype = _product_dtype(x, limit)
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = _SymmetricLogSumExp.apply(x, y, m, n, dtype)
    return out


def _product_dtype(x: Tensor, limit: float) -> torch.dtype:
    device = x.device.type
    if torch.is_autocast_enabled(device) and limit <= _SAFE:
        # Large logits would lose the differences that matter.
        low = torch.get_autocast_dtype(device)
        return low if low == torch.bfloat16 else x.dtype
    return x.dtype
