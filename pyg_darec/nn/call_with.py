"""A model called with other tensors in place of some of its parameters."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from pyg_darec.nn.recommender import Recommender


def call_with(
    model: Recommender, method: str, tables: Mapping[str, Tensor], *args: Any
) -> Any:
    r"""Calls a method of :obj:`model` as if its parameters of these names
    were other tensors, wherever else in the model they are. Gradients flow to
    those; the model is left as it is.

    Args:
        model (Recommender): The model.
        method (str): The name of the method.
        tables (dict): Tensors by the names of the parameters they stand for.
        *args: The arguments of the method.
    """
    if not tables:
        return getattr(model, method)(*args)
    made = caller(model)
    if not torch.compiler.is_compiling():
        made.find_places(tables)
    renamed: dict[str, Tensor] = {}
    for name, value in tables.items():
        value = _dense_gradient(value)
        renamed |= dict.fromkeys(made.places[name], value)
    # What is tied is in there. Asked to tie, it would take every path to a
    # module for another place, and put back what it had put there itself.
    return functional_call(made, renamed, (method, *args), tie_weights=False)


class _Caller(Module):
    """A method as a forward pass, which is all that
    :func:`torch.func.functional_call` calls.
    """

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model
        self.places: dict[str, list[str]] = {}
        self.find_places(model.embedding_names())

    def find_places(self, names: Iterable[str]) -> None:
        """All modules that hold these parameters, each by one of its names."""
        modules = list(self.named_modules())
        for name in names:
            value = attrgetter(name)(self.model)
            found = [
                f'{path}.{key}'
                for path, module in modules
                for key, own in module._parameters.items()
                if own is value
            ]
            # What is computed of other parameters is none itself.
            self.places[name] = found or [f'model.{name}']

    def forward(self, method: str, *args: Any) -> Any:
        return getattr(self.model, method)(*args)


def caller(model: Recommender) -> _Caller:
    r"""What :func:`call_with` calls :obj:`model` through. A compiled step
    cannot make modules, so that an aligner asks for it when it is made.
    """
    known: _Caller | None = vars(model).get('_caller')
    if known is None:
        # Past 'Module.__setattr__', which would make it a part of the model.
        known = vars(model)['_caller'] = _Caller(model)
    return known


def _dense_gradient(x: Tensor) -> Tensor:
    # The gradient of rows that are looked up may be sparse, which what a
    # table is made of cannot take.
    if not x.requires_grad or torch.compiler.is_compiling():
        return x
    out: Tensor = _DenseGradient.apply(x)
    return out


class _DenseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.detach()  # no view, which a model could not write to

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.to_dense() if grad.is_sparse else grad
