"""What a block may change of a model, and should not."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import Module
from torch.nn.parameter import is_lazy


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


@contextmanager
def keeping_buffers(model: Module) -> Iterator[None]:
    r"""Whatever a block does to the buffers of a model, such as its running
    statistics, they are as before afterwards; those that get their size in it
    stay as it leaves them.
    """
    known = model.named_buffers()
    before = {name: x.clone() for name, x in known if not is_lazy(x)}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in before:
                    buffer.copy_(before[name])
        # Modules that know of their buffers read them again then.
        saved = {k: v for k, v in model.state_dict().items() if k in before}
        model.load_state_dict(saved, strict=False)
