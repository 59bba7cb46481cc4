"""Sparse products over a matrix that is stored in both directions."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor


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
        col = col if order is None else col[order]
        count = torch.bincount(row, minlength=shape[0]).cumsum(0)
        ptr = torch.nn.functional.pad(count, (1, 0))
        # int32 halves the index traffic of a memory-bound product.
        return cls(ptr.int(), col.int(), order, shape)

    def matrix(self, weight: Tensor) -> Tensor:
        value = weight if self.order is None else weight[self.order]
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', '.*Sparse CSR tensor support')
            return torch.sparse_csr_tensor(
                self.ptr, self.col, value, self.shape, check_invariants=False
            )

    def to(self, device: torch.device | str) -> 'CSR':
        order = None if self.order is None else self.order.to(device)
        ptr, col = self.ptr.to(device), self.col.to(device)
        return CSR(ptr, col, order, self.shape)


class SpMM(torch.autograd.Function):
    """``A @ x`` whose backward uses the stored transpose, never a sort."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        matrices: tuple[Tensor, Tensor],
        ends: tuple[Tensor, Tensor],
    ) -> Tensor:
        ctx.transpose, ctx.ends = matrices[1], ends
        ctx.save_for_backward(x if weight.requires_grad else x.new_empty(0))
        return matrices[0] @ x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = ctx.transpose @ grad.contiguous()
        if ctx.needs_input_grad[1]:
            (x,), (row, col) = ctx.saved_tensors, ctx.ends
            grad_weight = (grad[row] * x[col]).sum(dim=-1)
        return grad_x, grad_weight, None, None
