"""From whatever holds embeddings to a tensor that a model can trust."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_embeddings(
    value: Any,
    where: str,
    labels: Sequence[Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    r"""Converts embeddings to a new tensor of shape :math:`(N, D)`, after
    checking that they are what they claim to be.

    Args:
        value (torch.Tensor, numpy.ndarray or list): The embeddings; a list
            holds one row per element.
        where (str): What the embeddings come from, for error messages.
        labels (list, optional): One id or text per row, for error messages.
        dtype (torch.dtype, optional): The type of the result.
            (default: :obj:`torch.float32`)

    Raises:
        TypeError: If :obj:`value` is of none of these types.
        ValueError: If the rows are ragged, the numbers are not floating-point
            or not finite in :obj:`dtype`, or the shape is not :math:`(N, D)`
            with :math:`D > 0`.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f'{where} needs an array without a mask; fill what is masked, '
            "such as by 'filled(0)' for no profile (got a 'MaskedArray')"
        )
    if isinstance(value, list | tuple):
        value = _stack(value, where, labels)
    if isinstance(value, Tensor) and value.layout == torch.strided:
        floating, shape = value.is_floating_point(), tuple(value.shape)
    elif isinstance(value, np.ndarray):
        floating, shape = value.dtype.kind == 'f', value.shape
    else:
        kind = getattr(value, 'layout', type(value).__name__)
        raise TypeError(
            f"{where} needs to be a dense tensor or array (got '{kind}')"
        )
    if not floating:
        raise ValueError(
            f'{where} needs to hold floating-point numbers; convert it or '
            f'write it again (got dtype {value.dtype})'
        )
    if len(shape) != 2 or shape[1] == 0:
        raise ValueError(
            f'{where} needs shape (number of nodes, width) with a width of '
            f'at least 1 (got {shape})'
        )
    if isinstance(value, np.ndarray):
        # torch knows neither foreign byte orders nor 'longdouble'.
        native = {2: np.float16, 4: np.float32}.get(value.itemsize, np.float64)
        value = torch.from_numpy(np.array(value, dtype=native, order='C'))
    out: Tensor = value.detach().to(dtype, copy=True)
    bad = (~out.isfinite()).any(dim=1).nonzero()
    if bad.numel() > 0:
        row = int(bad[0])
        first = value[row][~out[row].isfinite()][0].item()
        raise ValueError(
            f'{where} holds NaN, Inf or a number too large for {dtype} at '
            f'{name_row(row, labels)}, and so in {bad.numel()} of {len(out)} '
            f'rows; embed them again (got {first})'
        )
    return out


def to_unit_length(x: Tensor) -> Tensor:
    r"""Rows of length one; rows of zeros stay. So do squares within the range
    of numbers, of rows as long or as short as they may be.
    """
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if x.numel() > 0:
        largest = x.abs().amax(dim=-1, keepdim=True)
        is_odd = ((largest < 1e-8) | (largest > 1e8)) & (largest > 0)
        if bool(is_odd.any()):
            x = torch.where(is_odd, x / largest, x)
    return torch.nn.functional.normalize(x, dim=-1)


def name_row(row: int, labels: Sequence[Any] | None = None) -> str:
    if labels is None or row >= len(labels):
        return f'row {row}'
    return f'row {row} ({labels[row]!r:.80})'


def _stack(
    rows: Sequence[Any], where: str, labels: Sequence[Any] | None
) -> np.ndarray:
    arrays = []
    for i, row in enumerate(rows):
        cpu = row.detach().cpu() if isinstance(row, Tensor) else row
        try:
            arrays.append(np.asarray(cpu if _is_flat(cpu) else None))
        except ValueError:  # something else among numbers
            arrays.append(np.asarray(None))
        if arrays[i].ndim != 1 or arrays[i].shape != arrays[0].shape:
            raise ValueError(
                f'{where} is ragged at {name_row(i, labels)}: every row '
                'needs to be a vector of the same width (got shapes '
                f'{arrays[0].shape} and {arrays[i].shape})'
            )
    return np.stack(arrays) if arrays else np.empty((0, 0))


def _is_flat(row: Any) -> bool:
    """Whether a row holds no rows. The same one can be in a list many times,
    in many that are in one another: a file of a few bytes would become an
    array that fills the memory.
    """
    if not isinstance(row, Sequence) or len(row) == 0:
        return True
    first = row[0]  # numpy refuses what is nested after a number
    is_scalar = first is None or np.isscalar(first)
    return is_scalar or getattr(first, 'ndim', 1) == 0
