from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SparseAdam


class LazyAdam(SparseAdam):
    r"""Adam that leaves the rows of a table alone, moments included, in steps
    in which they have no gradient: :class:`torch.optim.SparseAdam` that
    takes dense gradients too, a row of zeros in which is no gradient.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is not None and not param.grad.is_sparse:
                    param.grad = _nonzero_rows(param.grad)
        return super().step(closure)


def _nonzero_rows(grad: Tensor) -> Tensor:
    # A tenth of the time of 'grad.to_sparse(1)'.
    row = grad.ne(0).any(dim=1).nonzero().t()
    return torch.sparse_coo_tensor(
        row, grad[row[0]], grad.shape, is_coalesced=True, check_invariants=False
    )
