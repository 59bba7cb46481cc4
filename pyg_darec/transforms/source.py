"""What embeddings are attached from."""

import os
import zlib
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Source: TypeAlias = str | os.PathLike[str] | Tensor | np.ndarray
PATHS = (str, os.PathLike)
SOURCES = (*PATHS, Tensor, np.ndarray)


def describe_source(source: Source) -> str:
    r"""A path as it is, and of other sources what tells them apart."""
    if isinstance(source, PATHS):
        return f"'{os.fspath(source)}'"
    name, shape = type(source).__name__, tuple(source.shape)
    if isinstance(source, np.memmap):  # which is not read for its name
        return f'{name}{shape}'
    if isinstance(source, Tensor):
        flat = source.detach().cpu().reshape(-1)
        source = flat.contiguous().view(torch.uint8).numpy()
    # Others of the same shape are others.
    crc = zlib.crc32(np.ascontiguousarray(source).data)
    return f'{name}{shape}#{crc:08x}'
