"""The same numbers from the same seed, and none of it outside of training."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic

from pyg_darec.loader.seed import derive_seed


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    r"""On a CPU, has PyTorch choose deterministic algorithms in the block:
    the gradient of :obj:`x[index]` would otherwise be summed up by several
    threads in any order. On other devices they cost more, and the choice of
    the caller stands.

    After the block, that choice and the random state of Python,
    :obj:`numpy` and :obj:`torch` (CPU and :obj:`device`) are what they were.
    """
    settings: Any = torch.utils.deterministic
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = settings.fill_uninitialized_memory
    python = random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002 (models may use it)
    devices = [device] if device.type == 'cuda' else []
    try:
        if device.type == 'cpu' and not enabled:
            torch.use_deterministic_algorithms(True, warn_only=True)
            # Finds mistakes in PyTorch itself, and costs a pass over memory.
            settings.fill_uninitialized_memory = False
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        settings.fill_uninitialized_memory = fill


def seed_all(device: torch.device, *entropy: int) -> None:
    r"""Seeds every global generator that a model may draw from, as named by
    some numbers (see :meth:`~pyg_darec.loader.seed.derive_seed`).
    """
    seed = derive_seed(*entropy)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    # Not 'torch.manual_seed', which reaches devices that others work on.
    torch.default_generator.manual_seed(seed)
    if device.type != 'cpu':
        torch.get_device_module(device).manual_seed(seed)
