"""A contrast of nodes that have several vectors each."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pyg_darec.autograd import once_differentiable

# Similarities that are looked at together: few enough to stay in the cache
# of a CPU, and enough to keep a GPU busy; but never so few rows that products
# with them are slow.
_BLOCK = {'cpu': 1 << 18, 'cuda': 1 << 24}
_MIN_ROWS = 64


class _MaxSimilarity(torch.autograd.Function):
    """``sum_i (log sum_j exp(s_ij) - s_ii)`` for ``s_ij = sum_m max_l
    <a_im, c_jl>``. Blocks of ``s`` are visited and never kept: the gradient
    is accumulated where the exponentials are at hand.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, candidate: Tensor) -> Tensor:
        a, c = (x.transpose(0, 1).contiguous() for x in (anchor, candidate))
        grad_a, grad_c = torch.zeros_like(a), torch.zeros_like(c)
        total = a.new_zeros(())
        for part in _blocks(candidate):
            s, nearest = _similarity(a[:, part], c)
            own = s.diagonal(part.start)
            total += (s.logsumexp(dim=1) - own).sum()
            s = s.softmax(dim=1)
            s.diagonal(part.start).sub_(1)
            pull = torch.empty_like(s)
            for m, near in enumerate(nearest):
                for k in range(c.size(0)):
                    torch.eq(near, k, out=pull).mul_(s)
                    grad_a[m, part].addmm_(pull, c[k])
                    grad_c[k].addmm_(pull.t(), a[m, part])
        ctx.save_for_backward(total, grad_a, grad_c)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        _, grad_a, grad_c = ctx.saved_tensors
        return grad * grad_a.transpose(0, 1), grad * grad_c.transpose(0, 1)


def _similarity(a: Tensor, c: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The similarities of a block, and which vector of the candidate was
    nearest to each vector of the anchor: the first, where several are.
    """
    total = a.new_zeros(a.size(1), c.size(1))
    nearest = []
    for x in a:
        best = x @ c[0].t()
        # Numbers and masks as floats, which is several times faster.
        near, higher = torch.zeros_like(best), torch.empty_like(best)
        for k in range(1, c.size(0)):
            other = x @ c[k].t()
            torch.gt(other, best, out=higher)
            near.lerp_(near.new_tensor(k), higher)
            torch.maximum(best, other, out=best)
        nearest.append(near)
        total += best
    return total, nearest


def _blocks(x: Tensor) -> Iterator[slice]:
    block = _BLOCK.get(x.device.type, _BLOCK['cuda'])
    size = max(block // max(x.size(0), 1), _MIN_ROWS)
    for start in range(0, x.size(0), size):
        yield slice(start, start + size)


def max_similarity_nce(
    anchor: Tensor, candidate: Tensor, temperature: float
) -> Tensor:
    r"""The InfoNCE loss of anchors against all candidates, each of them
    several vectors, where the candidate in the row of an anchor is its
    positive, summed over anchors,

    .. math::
        \mathcal{L} = -\sum_i \log
        \frac{\exp(s(\mathbf{a}_i, \mathbf{c}_i) / \tau)}
        {\sum_j \exp(s(\mathbf{a}_i, \mathbf{c}_j) / \tau)}, \quad
        s(\mathbf{a}_i, \mathbf{c}_j) = \sum_{m=1}^M \max_{l=1}^M
        \langle \mathbf{a}_{i,m}, \mathbf{c}_{j,l} \rangle.

    Keeps no :math:`(N, N)` matrix. Differentiable once.

    Args:
        anchor (torch.Tensor): The anchors.
        candidate (torch.Tensor): The candidates.
        temperature (float): The temperature :math:`\tau`.

    Shapes:
        - **anchor**, **candidate:** :math:`(N, M, d)`
        - **output:** :math:`()`
    """
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    with torch.autocast(anchor.device.type, enabled=False):
        out: Tensor = _MaxSimilarity.apply(
            anchor.to(dtype) / temperature, candidate.to(dtype)
        )
    return out
