"""Named tensors in a file: safetensors, written in one step."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import Module
from torch.nn.parameter import is_lazy

from pyg_darec.io.atomic import atomic_write


def write_tensors(
    tensors: Mapping[str, Any],
    path: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    r"""Writes tensors of any device, layout in memory and shared storage.

    Raises:
        TypeError: If an entry is not a dense tensor.
        OSError: If the file cannot be written, on a full disk for example.
            An earlier file of that name is as it was.
    """
    packed = {}
    for name, value in tensors.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided:
            raise TypeError(
                f"Only dense tensors can be saved; keep '{name}' out of the "
                f"'state_dict' (got '{_kind(value)}')"
            )
        # A copy each: safetensors refuses storage that tensors share.
        copy = value.detach().to('cpu', copy=True)
        packed[name] = copy.contiguous()
    # Not 'save_file': it writes to a temporary file of its own, which stays
    # behind after a kill, and lets nobody but the owner read the result.
    digest = {'sha256': _digest(packed)}
    content = save(packed, {'format': 'pt', **(metadata or {}), **digest})
    try:
        with atomic_write(path) as tmp:
            tmp.write_bytes(content)
    except OSError as e:
        raise OSError(
            f"'{path}' could not be written and any earlier version is as it "
            f'was; free some space or choose another folder (got {e})'
        ) from e


def read_tensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    r"""The tensors (on the CPU) and the metadata of a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated or not a safetensors file.
    """
    try:
        with safe_open(path, framework='pt') as file:
            # Copied, as the originals are slices of the mapped file.
            names = file.keys()
            tensors = {name: file.get_tensor(name).clone() for name in names}
            metadata = file.metadata() or {}
    except SafetensorError as e:
        raise ValueError(
            f"'{path}' is truncated or not a safetensors file; delete it, or "
            f'bring back a copy of it (got {e})'
        ) from e
    expected = metadata.get('sha256')  # other programs write none
    if expected is not None and expected != _digest(tensors):
        raise ValueError(
            f"'{path}' is damaged; delete it, or bring back a copy of it (got "
            'tensors that are not those that were written)'
        )
    return tensors, metadata


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        # As bytes: numpy has no bfloat16.
        flat = tensors[name].reshape(-1).view(torch.uint8)
        digest.update(flat.numpy().data)
    return digest.hexdigest()


def check_state(
    model: Module, state: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> None:
    r"""Makes sure that a state fits a model by names and shapes.

    Raises:
        ValueError: If it does not, naming the first few differences.
    """
    own = model.state_dict()
    wrong = [f"'{name}' is missing" for name in own if name not in state]
    wrong += [f"'{name}' is unknown" for name in state if name not in own]
    wrong += [
        f"'{name}' has shape {tuple(state[name].shape)} in the file and "
        f'{tuple(value.shape)} in the model'
        for name, value in own.items()
        if name in state
        and not is_lazy(value)
        and state[name].shape != value.shape
    ]
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise ValueError(
            f"'{path}' belongs to another model than "
            f"'{type(model).__name__}'; build the model with the arguments "
            f'that it was saved with (got: {", ".join(wrong[:3])}{more})'
        )


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f'{value.layout} {name}' if isinstance(value, Tensor) else name
