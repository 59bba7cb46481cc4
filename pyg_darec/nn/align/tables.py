"""Input embeddings of any model, replaced for one call."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

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


class InputTables(NamedTuple):
    """The parameters that hold the input embeddings of users and items."""

    by_name: dict[str, Tensor]  # of users and of items, or a single one
    has_items_first: bool  # in a single one


def input_tables(
    model: Recommender, graph: BipartiteGraph
) -> InputTables | None:
    r"""The parameters that hold the input embeddings of users and items: a
    table of each, of one width, or one of both. :obj:`None` if the model has
    no such tables for :obj:`graph`.
    """
    # No parameters where an aligner around this one replaced them.
    tables: dict[str, Tensor] = {
        name: attrgetter(name)(model) for name in model.embedding_names()
    }
    found = list(tables.values())
    sizes = [x.size(0) for x in found]
    wanted = [graph.num_users, graph.num_items]
    if sizes not in (wanted, wanted[::-1], [graph.num_nodes]):
        return None
    is_tied = len(found) == 2 and found[0] is found[1]
    is_even = found[0].size(1) == found[-1].size(1)
    if is_tied or not is_even:
        return None
    if len(found) == 2 and wanted != wanted[::-1]:  # sizes tell
        is_flipped = sizes != wanted
    else:
        is_flipped = _is_flipped(model, graph, tables)
    if is_flipped:
        tables = dict(reversed(tables.items()))
    return InputTables(tables, is_flipped)


def _is_flipped(
    model: Recommender, graph: BipartiteGraph, names: Iterable[str]
) -> bool:
    """Where sizes do not tell whether items come first."""
    parts = [name.lower() for name in names]
    for first, second in (('item', 'user'), ('user', 'item')):
        if len(parts) == 2 and first in parts[0] and second in parts[1]:
            return first == 'item'
    return model.has_items_first(graph)


def split_tables(
    graph: BipartiteGraph, tables: InputTables
) -> tuple[Tensor, Tensor]:
    r"""The rows of users and of items in :func:`input_tables`."""
    first, *rest = tables.by_name.values()
    if rest:
        return first, rest[0]
    if tables.has_items_first:
        item, user = first.split([graph.num_items, graph.num_users])
    else:
        user, item = first.split([graph.num_users, graph.num_items])
    return user, item


def by_table(
    tables: InputTables, pair: tuple[Tensor, Tensor]
) -> tuple[Tensor, ...]:
    r"""What belongs to the rows of users and of items, as
    :func:`input_tables` have them.
    """
    if len(tables.by_name) == 2:
        return pair
    user, item = pair
    return (torch.cat((item, user) if tables.has_items_first else pair),)


def join_tables(
    tables: InputTables, pair: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    r"""The rows of users and of items, in place of :func:`input_tables` and
    of their dtype.
    """
    parts = by_table(tables, pair)
    return {
        name: part.to(table.dtype)
        for (name, table), part in zip(
            tables.by_name.items(), parts, strict=True
        )
    }
