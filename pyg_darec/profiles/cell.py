"""Cells of tables of any origin."""

from typing import Any

import numpy as np


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


def to_text(value: Any) -> str:
    r"""A value as text: nothing if it is missing, elements of a list with
    commas in between.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return ', '.join(filter(None, map(to_text, value)))
    return '' if is_missing(value) else str(value)
