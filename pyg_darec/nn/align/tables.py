"""Input embeddings of any model, replaced for one call."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.recommender import Recommender


def call_with(
    model: Recommender, method: str, tables: Mapping[str, Tensor], *args: Any
) -> Any:
    r"""Calls a method of :obj:`model` as if its parameters of these names
    were other tensors. Gradients flow to those; the model is left as it is.

    Args:
        model (Recommender): The model.
        method (str): The name of the method.
        tables (dict): Tensors by the names of the parameters they stand for.
        *args: The arguments of the method.
    """
    if not tables:
        return getattr(model, method)(*args)
    renamed = {
        f'model.{name}': _dense_gradient(value)
        for name, value in tables.items()
    }
    return functional_call(vars(model)['_caller'], renamed, (method, *args))


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
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.to_dense() if grad.is_sparse else grad


class _Caller(Module):
    """A method as a forward pass, which is all that
    :func:`torch.func.functional_call` calls.
    """

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, method: str, *args: Any) -> Any:
        return getattr(self.model, method)(*args)


def caller(model: Recommender) -> Module:
    r"""What :func:`call_with` calls :obj:`model` through. A compiled step
    cannot make modules, so that an aligner asks for it when it is made.
    """
    # Past 'Module.__setattr__', which would make it a part of the model.
    made: Module = vars(model).setdefault('_caller', _Caller(model))
    return made


def input_tables(
    model: Recommender, graph: BipartiteGraph
) -> dict[str, Tensor] | None:
    r"""The parameters that hold the input embeddings of users and items, by
    name: a table of each, of one width, or one of users followed by items.
    :obj:`None` if the model has no such tables for :obj:`graph`.
    """
    # No parameters where an aligner around this one replaced them.
    tables: dict[str, Tensor] = {
        name: attrgetter(name)(model) for name in model.embedding_names()
    }
    wanted = [graph.num_users, graph.num_items]
    if _has_items_first(tables, wanted):
        tables = dict(reversed(tables.items()))
    found = list(tables.values())
    if [x.size(0) for x in found] not in (wanted, [graph.num_nodes]):
        return None
    is_tied = len(found) == 2 and found[0] is found[1]
    is_even = found[0].size(1) == found[-1].size(1)
    return tables if is_even and not is_tied else None


def _has_items_first(tables: Mapping[str, Tensor], wanted: list[int]) -> bool:
    """By their sizes, or by their names if there are as many users."""
    sizes = [table.size(0) for table in tables.values()]
    if sizes != wanted[::-1] or sizes != wanted:
        return sizes == wanted[::-1]
    first, second = (name.lower() for name in tables)
    return 'item' in first and 'user' in second


def split_tables(
    graph: BipartiteGraph, tables: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    r"""The rows of users and of items in :func:`input_tables`."""
    first, *rest = tables.values()
    if rest:
        return first, rest[0]
    user, item = first.split([graph.num_users, graph.num_items])
    return user, item


def join_tables(
    tables: Mapping[str, Tensor], pair: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    r"""The rows of users and of items, in place of :func:`input_tables` and
    of their dtype.
    """
    parts = pair if len(tables) == 2 else (torch.cat(pair),)
    return {
        name: part.to(table.dtype)
        for (name, table), part in zip(tables.items(), parts, strict=True)
    }
