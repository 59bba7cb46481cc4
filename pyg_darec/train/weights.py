"""The weights of a model as a file."""

import copy
import os
from typing import Any, TypeVar

from torch import Tensor
from torch.nn import Module

from pyg_darec.train.tensor_file import (
    check_state,
    read_tensors,
    write_tensors,
)

WEIGHTS = 'model.safetensors'

ModelT = TypeVar('ModelT', bound=Module)


def save_model(model: Module, path: str | os.PathLike[str]) -> None:
    r"""Saves the parameters and buffers of a model as a safetensors file.

    The file is replaced in one step: whatever happens, :obj:`path` holds the
    earlier version or the new one.

    Args:
        model (torch.nn.Module): The model.
        path (str or os.PathLike): The file to write.

    Raises:
        TypeError: If the :obj:`state_dict` holds anything but dense tensors.
        OSError: If the file cannot be written.
    """
    write_tensors(model.state_dict(), path)


def load_model(model: ModelT, path: str | os.PathLike[str]) -> ModelT:
    r"""Loads what :meth:`save_model` saved into a model built with the same
    arguments, and returns the model.

    Args:
        model (torch.nn.Module): The model, on any device.
        path (str or os.PathLike): The file to read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, or the names or shapes in it
            are not those of :obj:`model`, which is left as it was.
    """
    state, _ = read_tensors(path)
    check_state(model, state, path)
    model.load_state_dict(state)
    return model


def snapshot(model: Module) -> dict[str, Any]:
    r"""The state of a model now, which training leaves as it is."""
    return {
        key: value.detach().clone()
        if isinstance(value, Tensor)
        else copy.deepcopy(value)  # of 'get_extra_state'
        for key, value in model.state_dict().items()
    }
