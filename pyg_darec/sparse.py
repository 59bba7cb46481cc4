"""Sparse products over a matrix that is stored in both directions."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyg_darec.autograd import once_differentiable
from pyg_darec.operators import operator
from pyg_darec.row_gather import can_gather, gather_rows

Matrix = tuple[Tensor, Tensor, Tensor]  # row pointers, columns, values

# Narrower rows take bags as long as these, and sparse products less.
_MIN_BAG_WIDTH = 16


class CSR(NamedTuple):
    """One direction of a sparse matrix: row pointers and columns (int32),
    and the edge order that brings weights from the order of the edge list
    into that of the rows (none where they agree).
    """

    ptr: Tensor
    col: Tensor
    order: Tensor | None
    shape: tuple[int, int]

    @classmethod
    def from_edges(
        cls,
        row: Tensor,
        col: Tensor,
        shape: tuple[int, int],
        is_sorted: bool = False,
    ) -> 'CSR':
        order = None if is_sorted else torch.argsort(row, stable=True)
        col = col if order is None else col.index_select(0, order)
        count = torch.bincount(row, minlength=shape[0]).cumsum(0)
        ptr = torch.nn.functional.pad(count, (1, 0))
        # int32 halves the index traffic of a memory-bound product.
        out = cls(ptr.int(), col.int(), order, shape)
        with warnings.catch_warnings():
            # Of the first such tensor of a process, and of no other.
            warnings.filterwarnings('ignore', '.*Sparse CSR tensor support')
            out.matrix(torch.ones_like(out.col))
        return out

    def weighted(self, weight: Tensor) -> Matrix:
        """The parts of :meth:`matrix`, as :class:`Propagate` takes them."""
        value = weight
        if self.order is not None:
            value = weight.index_select(0, self.order)
        return self.ptr, self.col, value

    def matrix(self, weight: Tensor) -> Tensor:
        return _csr_tensor(self.weighted(weight), self.shape[1])

    def to(self, device: torch.device | str) -> 'CSR':
        order = None if self.order is None else self.order.to(device)
        ptr, col = self.ptr.to(device), self.col.to(device)
        return CSR(ptr, col, order, self.shape)


def _csr_tensor(matrix: Sequence[Tensor], num_cols: int) -> Tensor:
    ptr, col, value = matrix
    shape = ptr.numel() - 1, num_cols
    return torch.sparse_csr_tensor(
        ptr, col, value, shape, check_invariants=False
    )


def _matmul(matrix: Sequence[Tensor], x: Tensor) -> Tensor:
    if can_gather(matrix, x):
        return gather_rows(matrix, x)
    if _are_bags(matrix, x):
        ptr, col, value = matrix
        return torch.nn.functional.embedding_bag(
            col,
            x.detach(),
            ptr,
            mode='sum',
            per_sample_weights=value.detach(),
            include_last_offset=True,
        )
    csr = _csr_tensor(matrix, x.size(0))
    out = x.new_empty(csr.size(0), x.size(1))
    with torch.autocast(x.device.type, enabled=False):
        # 'csr @ x' would fill one output with zeros and copy it to another.
        return torch.addmm(out, csr, x, beta=0, out=out)


def _are_bags(matrix: Sequence[Tensor], x: Tensor) -> bool:
    """Whether a product is one of embedding bags, weighted sums of rows, too:
    for these, a CPU has kernels which fetch rows ahead of time, and take half
    to a fifth as long.
    """
    return (
        x.device.type == 'cpu'
        and x.dtype == matrix[2].dtype == torch.float32
        and x.size(1) >= _MIN_BAG_WIDTH
        and x.size(0) > 0
        and matrix[1].numel() > 0
    )


@operator(
    'propagate(Tensor user, Tensor item, Tensor[] to_user, Tensor[] to_item)'
    ' -> (Tensor, Tensor)',
    fake=lambda user, item, *_: (
        user.new_empty(user.shape),
        item.new_empty(item.shape),
    ),
)
def _propagate(
    user: Tensor,
    item: Tensor,
    to_user: Sequence[Tensor],
    to_item: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    return _matmul(to_user, item), _matmul(to_item, user)


@operator(
    'edge_dots(Tensor left, Tensor right, Tensor[] matrix) -> Tensor',
    fake=lambda left, right, matrix: torch.empty_like(matrix[2]),
)
def edge_dots(left: Tensor, right: Tensor, matrix: Sequence[Tensor]) -> Tensor:
    edges = _csr_tensor(matrix, right.size(0))
    with torch.autocast(left.device.type, enabled=False):
        # The values of the matrix count 0 times.
        out = torch.sparse.sampled_addmm(edges, left, right.t(), beta=0.0)
    dots: Tensor = out.values()
    return dots


class Propagate(torch.autograd.Function):
    """``A @ item`` and ``A.T @ user`` in one. Both directions of the matrix
    are stored (as the two :class:`Matrix` that `parts` are), so that backward
    sorts nothing, and the gradient of the weights is a product that is only
    taken where there are edges.
    """

    @staticmethod
    def forward(
        ctx: Any, user: Tensor, item: Tensor, weight: Tensor, *parts: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Not saved with the others, as evaluation in inference mode may have
        # made them. Nobody changes them.
        ctx.to_user, ctx.to_item = parts[:3], parts[3:]
        if weight.requires_grad:
            ctx.save_for_backward(user, item, weight)
        out: tuple[Tensor, Tensor] = _propagate(
            user, item, ctx.to_user, ctx.to_item
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_user: Tensor, grad_item: Tensor
    ) -> tuple[Tensor | None, ...]:
        grad_user, grad_item = grad_user.contiguous(), grad_item.contiguous()
        # A matrix and its transpose: backward is the same product.
        grads = _propagate(grad_user, grad_item, ctx.to_user, ctx.to_item)
        grad_weight = None
        if ctx.needs_input_grad[2]:
            user, item, _ = ctx.saved_tensors
            left = torch.cat([grad_user, user], dim=-1)
            right = torch.cat([item, grad_item], dim=-1)
            # The rows of this matrix are in the order of the weights.
            grad_weight = edge_dots(left, right, ctx.to_user)
        return *grads, grad_weight, *[None] * 6


@operator(
    'sparse_product(Tensor x, Tensor[] matrix) -> Tensor',
    fake=lambda x, matrix: x.new_empty(matrix[0].numel() - 1, x.size(1)),
)
def _product(x: Tensor, matrix: Sequence[Tensor]) -> Tensor:
    return _matmul(matrix, x)


class SymmetricProduct(torch.autograd.Function):
    """``S @ x`` with a constant :class:`Matrix` that is its own transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *matrix: Tensor) -> Tensor:
        ctx.matrix = matrix
        out: Tensor = _product(x, matrix)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _product(grad.contiguous(), ctx.matrix), None, None, None
