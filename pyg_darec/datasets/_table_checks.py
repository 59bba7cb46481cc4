"""Values of tables, and what is wrong with them."""

import re
import warnings
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
    missing = np.flatnonzero(values.isna())
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
        return pd.Series(values.array)
    if pd.api.types.is_float_dtype(values):
        number = values.astype('float64')  # Arrow's own know no remainder
        # What pandas makes of integers that had missing ones among them.
        values = number.map(int) if (number % 1 == 0).all() else number
    ids = [
        value.item() if isinstance(value, np.generic) else value
        for value in values.tolist()
    ]
    ids = [decode(value) for value in ids]
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
    numbers = pd.to_numeric(values, errors='coerce')
    bad = np.flatnonzero(~np.isfinite(numbers.to_numpy(dtype=np.float64)))
    if bad.size:
        raise ValueError(
            f'{name} needs to be a finite number in every row '
            f'(got {values.iloc[bad[0]]!r} in row {bad[0]})'
        )
    return numbers


# Whether days or months come first is in the eye of the reader.
_SHORT = (
    r'\s*(?P<one>\d{1,2})(?P<mark>[/.-])(?P<two>\d{1,2})(?P=mark)'
    r'(?P<year>\d{4}|\d{2})(?P<rest>(?:\D.*)?)'
)
_TIME_OF_DAY = (
    r'(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[AaPp][Mm])?'
    r'\s*(?:Z|[+-]\d{2}:?\d{2})?)?\s*'
)


def _to_other_dates(values: Any, name: str) -> Any:
    """Dates of other forms than ISO 8601."""
    import pandas as pd

    if pd.api.types.infer_dtype(values, skipna=False) == 'string':
        parts = values.str.extract(f'^{_SHORT}$', flags=re.DOTALL)
        if parts.notna().all(axis=None):
            return _to_short_dates(values, parts, name)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of options that a user has not
        return pd.to_datetime(values, utc=True, errors='coerce')


def _to_short_dates(values: Any, parts: Any, name: str) -> Any:
    """Dates with the month first or the day: whichever all of them can be
    read by.
    """
    import pandas as pd

    one, two = parts.one.astype(int), parts.two.astype(int)
    is_day_first = bool((one > 12).any())
    differs = np.flatnonzero(one != two)
    if not is_day_first and not (two > 12).any() and differs.size:
        row = differs[0]
        raise ValueError(
            f'{name} holds dates that can be read with the day or with the '
            'month first; write them as YYYY-MM-DD (got '
            f'{values.iloc[row]!r} in row {row})'
        )
    year = parts.year.astype(int)
    # As POSIX has it: 69 is 1969, 68 is 2068.
    year += (parts.year.str.len() == 2) * np.where(year < 69, 2000, 1900)
    days = pd.to_datetime(
        pd.DataFrame(
            {
                'year': year,
                'month': two if is_day_first else one,
                'day': one if is_day_first else two,
            }
        ),
        utc=True,
        errors='coerce',  # such as a day that is no month
    )
    rest = parts.rest.where(parts.rest.str.fullmatch(_TIME_OF_DAY))
    first = pd.Timestamp('1970-01-01', tz='UTC')
    # Each for itself: some rows may have seconds and others none.
    time = pd.to_datetime(
        '1970-01-01' + rest, utc=True, errors='coerce', format='mixed'
    )
    return days + (time - first)


def to_seconds(values: Any, name: str) -> Any:
    """Dates, texts of dates or numbers as whole seconds since 1970."""
    import pandas as pd

    check_not_missing(values, name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.dtype.categories.dtype)
    # pandas takes numbers in a column of objects for nanoseconds.
    values = values.infer_objects()
    # Of these, pandas would take the numbers that they are kept as.
    if isinstance(values.dtype, pd.PeriodDtype) or values.dtype.kind in 'mb':
        raise ValueError(
            f'{name} needs points in time; convert it to dates, as with '
            "'.dt.to_timestamp()' of periods (got the type "
            f"'{values.dtype}')"
        )
    if pd.api.types.is_numeric_dtype(values):
        numbers = to_numbers(values, name)
        large = np.abs(numbers.to_numpy(dtype=np.float64)) >= 2**63
        bad = np.flatnonzero(large)
        if bad.size:
            raise ValueError(
                f'{name} needs numbers of seconds below 2**63; convert them '
                f'(got {values.iloc[bad[0]]!r} in row {bad[0]})'
            )
        return np.floor(numbers).astype('int64')
    # With and without a time of day in one column; else pandas' own guess.
    times = pd.to_datetime(values, utc=True, errors='coerce', format='ISO8601')
    if times.isna().any():
        times = _to_other_dates(values, name)
    if times.isna().any():
        # A table that was read as texts has texts of seconds.
        numbers = pd.to_numeric(values, errors='coerce')
        if numbers.notna().all():
            return to_seconds(numbers, name)
    bad = np.flatnonzero(times.isna())
    if bad.size:
        raise ValueError(
            f'{name} needs to be a date or a number of seconds in every row; '
            'write dates as YYYY-MM-DD '
            f'(got {values.iloc[bad[0]]!r} in row {bad[0]})'
        )
    return times.dt.tz_localize(None).astype('datetime64[s]').astype('int64')
