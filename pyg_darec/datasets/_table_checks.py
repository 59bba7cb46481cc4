"""Values of tables, and what is wrong with them."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

import numpy as np

from pyg_darec.profiles.cell import decode


def check_columns(table: Any, columns: list[str], name: str) -> None:
    for column in columns:
        count = list(table.columns).count(column)
        if count != 1:
            raise ValueError(
                f"{name} needs exactly one column '{column}'; pass the name "
                f'of the right one (got {list(table.columns)})'
            )
    if len(table) == 0:
        raise ValueError(
            f'{name} needs at least one row; check that it is the right one '
            '(got 0 rows)'
        )


def describe_column(column: str, name: str) -> str:
    return f"Column '{column}' of {name[0].lower()}{name[1:]}"


def check_not_missing(values: Any, name: str) -> None:
    _check_none(values.isna(), name)


def _check_none(is_missing: Any, name: str) -> None:
    missing = np.flatnonzero(is_missing)
    if missing.size:
        raise ValueError(
            f'{name} is missing in {missing.size} rows; drop or fill them '
            f'(got the first in row {missing[0]})'
        )


def to_ids(values: Any, name: str) -> Any:
    """Ids of one type: texts as they are, whole numbers as integers; others
    as texts, as a CSV file has them.
    """
    import pandas as pd

    check_not_missing(values, name)
    # Most tables: of one type throughout, without a look at each row.
    if values.dtype.kind in 'iu':
        dtype = 'int64' if values.dtype.kind == 'i' else 'uint64'
        return pd.Series(values.to_numpy(dtype=dtype))
    if isinstance(values.dtype, pd.StringDtype):
        _check_none(values.str.strip() == '', name)
        return pd.Series(values.array)
    if pd.api.types.is_float_dtype(values):
        number = values.astype('float64')  # Arrow's own know no remainder
        large = np.flatnonzero(number.abs() >= 2**53)
        if large.size:
            raise ValueError(
                f'{name} holds whole numbers that floating-point numbers '
                'cannot tell apart; read them as texts, or as integers that '
                "may be missing, dtype 'Int64' (got "
                f'{number.iloc[large[0]]:.0f} in row {large[0]})'
            )
        # What pandas makes of integers that had missing ones among them.
        values = number.map(int) if (number % 1 == 0).all() else number
    ids = [
        value.item() if isinstance(value, np.generic) else value
        for value in values.tolist()
    ]
    ids = [decode(value) for value in ids]
    _check_none([isinstance(x, str) and not x.strip() for x in ids], name)
    for row, value in enumerate(ids):
        if not isinstance(value, Hashable):
            raise ValueError(
                f'{name} needs hashable ids, such as numbers and texts '
                f"(got a '{type(value).__name__}' in row {row})"
            )
    types = {type(value).__name__: value for value in reversed(ids)}
    if len(types) > 1:
        raise ValueError(
            f'{name} holds ids of several types; convert them to one '
            f'(got {types})'
        )
    if isinstance(ids[0], bool) or not isinstance(ids[0], str | int):
        written = {value: str(value) for value in dict.fromkeys(ids)}
        alike = [t for t, n in Counter(written.values()).items() if n > 1]
        if alike:
            raise ValueError(
                f'{name} holds different ids that are written alike; convert '
                f'them to texts or numbers (got several {alike[0]!r})'
            )
        ids = [written[value] for value in ids]
    return pd.Series(ids, dtype=object)


def to_numbers(values: Any, name: str) -> Any:
    import pandas as pd

    check_not_missing(values, name)
    if values.dtype.kind in 'mMc':
        raise ValueError(
            f'{name} needs to be a number in every row (got the type '
            f"'{values.dtype}')"
        )
    numbers = pd.to_numeric(values, errors='coerce')
    bad = np.flatnonzero(~np.isfinite(numbers.to_numpy(dtype=np.float64)))
    if bad.size:
        raise ValueError(
            f'{name} needs to be a finite number in every row '
            f'(got {values.iloc[bad[0]]!r} in row {bad[0]})'
        )
    return numbers
