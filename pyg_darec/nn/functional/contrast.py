r"""Contrastive terms. They are log-sum-exps over a similarity matrix that is
visited in blocks and never kept: the gradient of each is a product of the
same block, so it is accumulated in the forward pass, where the exponentials
are at hand. Memory is linear in the number of rows.
"""

import math
from typing import Any

import torch
from torch import Tensor

from pyg_darec.autograd import once_differentiable
from pyg_darec.checks import check_positive, check_shape
from pyg_darec.nn.functional.blocks import blocks
from pyg_darec.nn.functional.normalize import normalize
from pyg_darec.operators import operator

# Logits up to here need no shift: a sum of a billion exponentials is finite in
# every dtype with the range of float32.
_SAFE = 40.0


def _fake_lse(
    anchor: Tensor, candidate: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        anchor.new_empty(()),
        anchor.new_empty(anchor.shape),
        candidate.new_empty(candidate.shape),
    )


@operator(
    'log_sum_exp(Tensor anchor, Tensor candidate, Tensor m, Tensor w,'
    ' float limit, ScalarType dtype, bool both) -> (Tensor, Tensor, Tensor)',
    fake=_fake_lse,
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
            if dtype == grad_c.dtype:
                grad_c.addmm_(p.t(), pull)
            else:
                grad_c += p.t() @ pull
    return total + w.sum() * most.log(), grad_a, grad_c.mul_(m.unsqueeze(1))


class _WeightedLogSumExp(torch.autograd.Function):
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

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, grad_a, grad_c = ctx.saved_tensors
        return grad * grad_a, grad * grad_c, None, None, None, None


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    candidate: Tensor,
    temperature: float,
    weight: Tensor | None = None,
    multiplicity: Tensor | None = None,
) -> Tensor:
    r"""The InfoNCE loss of the `"Representation Learning with Contrastive
    Predictive Coding" <https://arxiv.org/abs/1807.03748>`_ paper with the
    cosine as similarity, summed over anchors,

    .. math::
        \mathcal{L} = \sum_i w_i \left( \log \sum_j m_j
        \exp(\cos(\mathbf{a}_i, \mathbf{c}_j) / \tau) -
        \cos(\mathbf{a}_i, \mathbf{p}_i) / \tau \right).

    Weights and multiplicities let repeated rows be given once. It stays
    finite at any temperature, for zero rows and for duplicates, and keeps no
    :math:`(A, C)` matrix. Differentiable once. Under bfloat16 autocast, the
    products over all pairs are in bfloat16 where :math:`\tau \geq 0.025`,
    and everything else in float32.

    Args:
        anchor (torch.Tensor): The anchors.
        positive (torch.Tensor): The positive of each anchor.
        candidate (torch.Tensor): What the positive competes with; the
            positive itself is expected among it.
        temperature (float): The temperature :math:`\tau`.
        weight (torch.Tensor, optional): How often each anchor counts.
            (default: :obj:`None`)
        multiplicity (torch.Tensor, optional): How often each candidate
            counts; positive. (default: :obj:`None`)

    Shapes:
        - **anchor**, **positive:** :math:`(A, d)`
        - **candidate:** :math:`(C, d)`
        - **weight:** :math:`(A)`
        - **multiplicity:** :math:`(C)`

    Raises:
        ValueError: If :obj:`temperature` is not positive or an input has
            another shape.
    """
    check_positive(temperature=temperature)
    check_shape(anchor.shape, positive=positive)
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    a = normalize(anchor.to(dtype)) / temperature
    p, c = normalize(positive.to(dtype)), normalize(candidate.to(dtype))
    attract = (a * p).sum(dim=-1)
    if weight is not None:
        attract = attract * weight.to(dtype)
    repel = _log_partition(a, c, weight, multiplicity, 1 / temperature)
    return repel - attract.sum()


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
        ValueError: If weights or multiplicities have another shape.
    """
    if anchor.size(0) == 0:
        return anchor.sum()
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    a, c = anchor.to(dtype), candidate.to(dtype)
    limit = math.inf
    if a.device.type == 'cpu':
        # On a GPU, the host would have to wait for the answer.
        peaks = (x.detach().norm(dim=-1).amax() for x in (a, c))
        limit = math.prod(float(peak) for peak in peaks)
    return _log_partition(a, c, weight, multiplicity, limit)


def _log_partition(
    a: Tensor,
    c: Tensor,
    weight: Tensor | None,
    multiplicity: Tensor | None,
    limit: float,
) -> Tensor:
    w = a.new_ones(a.size(0)) if weight is None else weight.to(a.dtype)
    m = c.new_ones(c.size(0)) if multiplicity is None else multiplicity
    check_shape(a.shape[:1], weight=w)
    check_shape(c.shape[:1], multiplicity=m)
    device, dtype = a.device.type, a.dtype
    if torch.is_autocast_enabled(device) and limit <= _SAFE:
        # Large logits would lose the differences that matter.
        low = torch.get_autocast_dtype(device)
        dtype = low if low == torch.bfloat16 else dtype
    with torch.autocast(device, enabled=False):
        out: Tensor = _WeightedLogSumExp.apply(
            a, c, m.to(a.dtype), w, limit, dtype
        )
    return out
