"""Functions that bring a gradient of their own."""

from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


class _Once(torch.autograd.Function):
    """A gradient, as a function of its sources that has no gradient."""

    @staticmethod
    def forward(ctx: Any, name: str, grad: Tensor, *sources: Tensor) -> Tensor:
        ctx.name = name
        return grad.view_as(grad)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> None:
        raise RuntimeError(
            f"'{ctx.name}' is differentiable once (got a second derivative, "
            f'as in a Hessian or a gradient penalty)'
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    r"""Makes it an error to differentiate what the :meth:`backward` of a
    :class:`torch.autograd.Function` returns. Where incoming gradients are
    constants, as in a Hessian, PyTorch's own decorator lets it pass for a
    constant, too.

    It may depend on incoming gradients and on saved tensors: among these needs
    to be an input or output that leads to all inputs which it depends on.
    Without any, as in a linear function, it is a constant.
    """
    name = backward.__qualname__.partition('.')[0]

    @wraps(backward)
    def once(ctx: Any, *grads: Tensor) -> Any:
        # Compilers refuse second derivatives themselves.
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            with torch.no_grad():
                return backward(ctx, *grads)
        # Checkpoints let saved tensors be read only once.
        known = SimpleNamespace(
            **vars(ctx),
            saved_tensors=ctx.saved_tensors,
            needs_input_grad=ctx.needs_input_grad,
        )
        sources = [x for x in (*grads, *known.saved_tensors) if x.requires_grad]
        with torch.no_grad():
            out = backward(known, *grads)
        if not sources:
            return out
        return tuple(
            None if x is None else _Once.apply(name, x, *sources)
            for x in (out if isinstance(out, tuple) else (out,))
        )

    return once
