r"""Attention along the edges of a graph as sparse products: of what there is
per edge, only one weight a head is kept, and no vector is ever made.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from pyg_darec.autograd import once_differentiable
from pyg_darec.sparse import CSR

Edges = tuple[CSR, CSR]  # a matrix whose rows attend, and its transpose

_LIMIT = 10.0


class _EdgeAttention(torch.autograd.Function):
    """Heads are in the first dimension and are worked on in turn."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, edges: Edges
    ) -> Tensor:
        query, key, value = (x.contiguous() for x in (query, key, value))
        weight = query.new_empty(query.size(0), edges[0].col.numel())
        # One more column of the values adds the weights up.
        right = pad(value, (0, 1), value=1.0)
        sums = query.new_empty(*query.shape[:2], right.size(-1))
        for h, w in enumerate(weight):
            matrix = _dots(query[h], key[h], edges[0], out=w)
            w.clamp_(-_LIMIT, _LIMIT).exp_()
            sums[h] = matrix @ right[h]
        scale = (sums[..., -1:] + 1e-8).reciprocal()
        out = sums[..., :-1] * scale
        ctx.edges = edges
        ctx.save_for_backward(query, key, value, weight, scale, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weight, scale, out = ctx.saved_tensors
        edges, transpose = ctx.edges
        grad = grad * scale
        # A softmax takes <g, out> off <g, v>: one more term of the product.
        shift = (grad * out).sum(dim=-1, keepdim=True)
        left = torch.cat([grad, -shift], dim=-1)
        right = pad(value, (0, 1), value=1.0)
        # Clamped logits have no gradient, and their exponentials tell them.
        low, high = math.exp(1e-6 - _LIMIT), math.exp(_LIMIT - 1e-6)
        clamp_backward = torch.ops.aten.hardtanh_backward.grad_input
        grads = tuple(torch.empty_like(x) for x in (query, key, value))
        # Fresh memory of this size would cost as much as a product.
        slope, buffer = weight.new_empty(2, weight.size(1))
        with torch.autocast(grad.device.type, enabled=False):
            for h, w in enumerate(weight):
                matrix = _dots(left[h], right[h], edges, out=slope)
                clamp_backward(slope.mul_(w), w, low, high, grad_input=slope)
                grads[0][h] = matrix @ key[h]
                grads[1][h] = _matrix(transpose, slope, buffer) @ query[h]
                grads[2][h] = _matrix(transpose, w, buffer) @ grad[h]
        return *grads, None


def _dots(left: Tensor, right: Tensor, edges: CSR, out: Tensor) -> Tensor:
    """The matrix of ``<left_r, right_c>`` on the edges, stored in `out`."""
    # What is there counts 0 times, so it has to be finite.
    matrix = edges.matrix(out.zero_())
    torch.sparse.sampled_addmm(matrix, left, right.t(), beta=0.0, out=matrix)
    return matrix


def _matrix(edges: CSR, weight: Tensor, buffer: Tensor) -> Tensor:
    """``edges.matrix(weight)`` that brings weights in order in `buffer`."""
    if edges.order is None:
        return edges.matrix(weight)
    torch.index_select(weight, 0, edges.order, out=buffer)
    return edges._replace(order=None).matrix(buffer)


def edge_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    edges: Edges,
    num_heads: int = 1,
) -> Tensor:
    r"""Multi-head attention in which every row of a sparse matrix attends to
    its columns. With the parts :math:`\mathbf{q}, \mathbf{k}, \mathbf{v}` of
    one head,

    .. math::
        \mathbf{o}_r = \frac{1}{Z_r + 10^{-8}}
        \sum_{c \in \mathcal{N}(r)} w_{rc} \mathbf{v}_c, \quad
        w_{rc} = \exp \left( \max(-10, \min(10,
        \langle \mathbf{q}_r, \mathbf{k}_c \rangle)) \right), \quad
        Z_r = \sum_{c \in \mathcal{N}(r)} w_{rc}.

    A row without edges gets zeros. Differentiable once.

    Args:
        query (torch.Tensor): What the rows ask for.
        key (torch.Tensor): What the columns answer to.
        value (torch.Tensor): What the columns pass on.
        edges (tuple): The matrix, its edges sorted by row, and its transpose,
            each a :class:`~pyg_darec.sparse.CSR`.
        num_heads (int, optional): The number of heads :math:`H`, a divisor
            of both widths. (default: :obj:`1`)

    Shapes:
        - **query:** :math:`(R, d)`
        - **key:** :math:`(C, d)`
        - **value:** :math:`(C, e)`
        - **output:** :math:`(R, e)`

    Raises:
        ValueError: If the edges of the matrix are not sorted by row.
    """
    if edges[0].order is not None:
        raise ValueError(
            "'edges' needs a matrix whose edges are sorted by row "
            "(got one with an 'order')"
        )
    dtype = torch.promote_types(query.dtype, torch.float32)
    q, k, v = (
        x.to(dtype).unflatten(-1, (num_heads, -1)).transpose(0, 1)
        for x in (query, key, value)
    )
    with torch.autocast(query.device.type, enabled=False):
        out: Tensor = _EdgeAttention.apply(q, k, v, edges)
    return out.transpose(0, 1).flatten(1).to(value.dtype)
