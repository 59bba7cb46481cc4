"""Columns and cells of tables of any origin."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np


def check_column(values: Any, name: str) -> None:
    r"""Raises a :class:`ValueError` for a table where one column is needed:
    a loop over it yields the names of its columns.
    """
    if isinstance(values, Mapping) or getattr(values, 'ndim', 1) != 1:
        raise ValueError(
            f'{name} needs one value per row; pass a column, such as '
            f"table['text'] (got a '{type(values).__name__}' of "
            f'{list(values)!r:.80})'
        )


def is_missing(value: Any) -> bool:
    r"""Whether a value is :obj:`None`, NaN or what pandas has in their place;
    a list or an array never is.
    """
    if value is None:
        return True
    differs = value != value
    if isinstance(differs, bool | np.bool_):
        return bool(differs)
    return differs is value  # pandas.NA; others answer element by element


def decode(value: Any) -> Any:
    r"""Text of what a Parquet file keeps as bytes; anything else as it is."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):  # as of the bytes of a UUID
            return value.decode('utf-8')
    return value


def to_text(value: Any) -> str:
    r"""A value as text: nothing if it is missing, elements of a list with
    commas in between.
    """
    value = decode(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return ', '.join(filter(None, map(to_text, value)))
    return '' if is_missing(value) else str(value)
