"""Where to train."""

import torch
from lightning_fabric import Fabric


def make_fabric(
    device: str | torch.device | None,
    devices: int = 1,
    precision: str | None = None,
) -> Fabric:
    r"""A :class:`lightning_fabric.Fabric` from a PyTorch device name.

    Raises:
        ValueError: If a numbered device comes with more than one device, or
            a name is unknown.
        RuntimeError: If there is no such device.
    """
    kind, _, index = str(device or 'auto').partition(':')
    if kind == 'auto':
        # Fabric would also take MPS, which has no sparse products.
        kind = 'cuda' if torch.cuda.is_available() else 'cpu'
    if index and devices != 1:
        raise ValueError(
            f"'device' names one device; leave out the number to train on "
            f"several (got device='{device}' and devices={devices})"
        )
    return Fabric(
        accelerator=kind,
        devices=[int(index)] if index and kind != 'cpu' else devices,
        # A loss may leave parameters out, and others in other epochs.
        strategy='ddp_find_unused_parameters_true' if devices > 1 else 'auto',
        precision=precision,  # type: ignore[arg-type]
    )
