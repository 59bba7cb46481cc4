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


class Propagate(torch.autograd.Function):
    """``A @ item`` and ``A.T @ user`` in one. Both directions of the matrix
    are stored, so that backward sorts nothing, and the gradient of the
    weights is a product that is only taken where there are edges.
    """

    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        item: Tensor,
        weight: Tensor,
        to_user: Tensor,
        to_item: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.matrices = to_user, to_item
        if weight.requires_grad:
            ctx.save_for_backward(user, item)
        return to_user @ item, to_item @ user

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_user: Tensor, grad_item: Tensor
    ) -> tuple[Tensor | None, ...]:
        to_user, to_item = ctx.matrices
        out: list[Tensor | None] = [None] * 5
        with torch.autocast(grad_user.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                out[0] = to_user @ grad_item.contiguous()
            if ctx.needs_input_grad[1]:
                out[1] = to_item @ grad_user.contiguous()
            if ctx.needs_input_grad[2]:
                user, item = ctx.saved_tensors
                left = torch.cat([grad_user, user], dim=-1)
                right = torch.cat([item, grad_item], dim=-1)
                # The rows of this matrix are in the order of the weights.
                product = torch.sparse.sampled_addmm(
                    to_user, left, right.t(), beta=0.0
                )
                out[2] = product.values()
        return tuple(out)
