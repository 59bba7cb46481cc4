from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import Module


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    r"""Evaluation mode, without gradients, for the length of a block."""
    # A part may be frozen in evaluation mode inside a model that trains.
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
