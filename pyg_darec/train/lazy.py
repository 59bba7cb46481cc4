"""Parameters that get their shape from the first data that they see."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import Module
from torch.nn.parameter import is_lazy

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader
from pyg_darec.modes import keeping_buffers
from pyg_darec.nn.recommender import Recommender


def materialize(model: Any, graph: BipartiteGraph, loader: PairLoader) -> None:
    r"""Gives lazily initialised parameters, as those of
    :obj:`torch_geometric.nn.Linear(-1, 64)`, their shape: an optimizer needs
    to know them all.

    Raises:
        ValueError: If a parameter stays without a shape.
    """
    if not _lazy_names(model):
        return
    # In training mode, as the loss may use parts that scoring does not.
    model.train()
    if hasattr(model, 'renew'):
        model.renew(graph, 1, 0)
    batch = next(iter(loader))
    # This was no step of training: running statistics do not count it.
    with torch.no_grad(), keeping_buffers(model):
        for part in _layers(model):
            # The first epochs may leave out the loss of what is wrapped.
            if _lazy_names(model):
                part.loss(graph, batch)
    if names := _lazy_names(model):
        raise ValueError(
            f"'{type(model).__name__}' has lazily initialised parameters "
            f'that its loss does not use; give them their shape or remove '
            f'them (got {names})'
        )


def _layers(model: Any) -> Iterator[Any]:
    """A model and those that it wraps, the outermost first."""
    yield model
    while isinstance(model := getattr(model, 'model', None), Recommender):
        yield model


def _lazy_names(model: Module) -> list[str]:
    return [name for name, param in model.named_parameters() if is_lazy(param)]
