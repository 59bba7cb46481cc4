"""Training and evaluation modes of a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import Module


@contextmanager
def keeping_modes(model: Module) -> Iterator[None]:
    r"""Whatever a block does to the modes of a model and of its parts, they
    are as before afterwards.
    """
    # A part may be frozen in evaluation mode inside a model that trains.
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    r"""Evaluation mode, without gradients, for the length of a block."""
    with keeping_modes(model), torch.no_grad():
        model.eval()
        yield
