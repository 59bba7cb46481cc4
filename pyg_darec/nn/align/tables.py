"""Input embeddings of any model, replaced for one call."""

from collections.abc import Mapping
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
    renamed = {f'model.{name}': value for name, value in tables.items()}
    return functional_call(vars(model)['_caller'], renamed, (method, *args))


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
    name: a table of each, or one of users followed by items. :obj:`None` if
    the model has no such tables for :obj:`graph`.
    """
    tables: dict[str, Tensor] = {
        name: model.get_parameter(name) for name in model.embedding_names()
    }
    sizes = [table.size(0) for table in tables.values()]
    split = [graph.num_users, graph.num_items]
    return tables if sizes in (split, [graph.num_nodes]) else None


def input_dim(model: Recommender) -> int | None:
    r"""The width of the input embeddings of a model, or of its embeddings if
    it has no tables of them.
    """
    names = model.embedding_names()
    if not names:
        return model.out_dim
    return model.get_parameter(names[0]).size(1)


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
    r"""The rows of users and of items, in place of :func:`input_tables`."""
    parts = pair if len(tables) == 2 else (torch.cat(pair),)
    return dict(zip(tables, parts, strict=True))
