from collections.abc import Callable
from typing import Any

import torch
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
                    param.grad = param.grad.to_sparse(1)
        return super().step(closure)
