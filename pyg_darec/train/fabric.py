"""Where to train."""

import warnings

import torch
from lightning_fabric import Fabric


def make_fabric(
    device: str | torch.device | None,
    devices: int = 1,
    precision: str | None = None,
) -> Fabric:
    r"""A :class:`lightning_fabric.Fabric` from a PyTorch device name.

    Warns:
        UserWarning: If products in bfloat16 would be far slower than others.

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
    is_bfloat16 = precision is not None and str(precision).startswith('bf16')
    if kind == 'cpu' and is_bfloat16 and not multiplies_bfloat16():
        warnings.warn(
            'This processor has no fast products in bfloat16, and a step takes '
            f"far longer than in float32; leave out 'precision' (got "
            f"'{precision}')",
            stacklevel=3,
        )
    return Fabric(
        accelerator=kind,
        devices=[int(index)] if index and kind != 'cpu' else devices,
        # A loss may leave parameters out, and others in other epochs.
        strategy='ddp_find_unused_parameters_true' if devices > 1 else 'auto',
        precision=precision,  # type: ignore[arg-type]
    )


def multiplies_bfloat16() -> bool:
    r"""Whether PyTorch has more than plain loops for products in bfloat16 on
    this processor.
    """
    if not torch.backends.mkldnn.is_available():
        return True  # or nobody can tell
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported
