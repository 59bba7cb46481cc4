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


# Which of day, month and year comes first is in the eye of the reader.
_SHORT = (
    r'\s*(?P<one>\d{4}|\d{1,2})(?P<mark>\s*[/.,-]\s*|\s+)(?P<two>\d{1,2})'
    r'(?P=mark)(?P<three>\d{4}|\d{1,2})(?P<rest>(?:\D.*)?)'
)
_TIME_OF_DAY = (
    r'(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[AaPp][Mm])?'
    r'\s*(?:Z|[+-]\d{2}:?\d{2})?)?\s*'
)
_ORDERS = (
    ('day', 'month', 'year'),
    ('month', 'day', 'year'),
    ('year', 'month', 'day'),
)


def _to_other_dates(values: Any, name: str) -> Any:
    """Dates of other forms than ISO 8601."""
    import pandas as pd

    if pd.api.types.infer_dtype(values, skipna=False) == 'string':
        parts = values.str.extract(f'^{_SHORT}$', flags=re.DOTALL)
        if parts.notna().all(axis=None):
            return _to_short_dates(values, parts, name)
    # Of a time alone, pandas would make one of today; of digits alone, a date
    # with any part first; of a date without a year, one of the year 1.
    is_none = (' ' + values.map(str)).str.fullmatch(
        rf'(?:{_TIME_OF_DAY}|\s*\d+)'
    )
    readings = {}
    for first in ('month', 'day'):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of options that a user has not
            times = pd.to_datetime(
                values.mask(is_none),
                utc=True,
                errors='coerce',
                dayfirst=first == 'day',
            )
        readings[first] = times.mask(times.dt.year == 1)
    whole = {k: times for k, times in readings.items() if times.notna().all()}
    _check_alike(whole, values, name)
    return next(iter((whole or readings).values()))


def _check_alike(readings: dict[str, Any], values: Any, name: str) -> None:
    """All ways to read dates, by what they take to be first, are one."""
    times = list(readings.values())
    for other in times[1:]:
        differs = np.flatnonzero(times[0] != other)
        if differs.size:
            raise ValueError(
                f'{name} holds dates that can be read with the '
                f'{" or the ".join(readings)} first; write them as YYYY-MM-DD '
                f'(got {values.iloc[differs[0]]!r} in row {differs[0]})'
            )


def _to_short_dates(values: Any, parts: Any, name: str) -> Any:
    """Dates of three numbers, in the order that all of them can be read in."""
    import pandas as pd

    numbers = parts[['one', 'two', 'three']]
    fields = {order[0]: numbers.set_axis(order, axis=1) for order in _ORDERS}
    fits = {first: _may_be_date(frame) for first, frame in fields.items()}
    most = max(fit.sum() for fit in fits.values())
    # If none can be read so by all, the error is to name a row that cannot.
    days = {
        first: _to_days(fields[first]).where(fit)
        for first, fit in fits.items()
        if fit.sum() == most
    }
    if most == len(values):
        _check_alike(days, values, name)
    rest = parts.rest.where(parts.rest.str.fullmatch(_TIME_OF_DAY))
    start = pd.Timestamp('1970-01-01', tz='UTC')
    # Each for itself: some rows may have seconds and others none.
    time = pd.to_datetime(
        '1970-01-01' + rest, utc=True, errors='coerce', format='mixed'
    )
    return next(iter(days.values())) + (time - start)


def _may_be_date(fields: Any) -> Any:
    """Where three numbers may be a date. Not whether its month has such a day:
    a slip in one row is to decide on no others.
    """
    has_year = fields.year.str.len().isin([2, 4])
    month, day = fields.month.astype(int), fields.day.astype(int)
    return has_year & month.between(1, 12) & day.between(1, 31)


def _to_days(fields: Any) -> Any:
    import pandas as pd

    numbers = fields.astype(int)
    # As POSIX has it: 69 is 1969, 68 is 2068.
    century = np.where(numbers.year < 69, 2000, 1900)
    numbers['year'] += (fields.year.str.len() == 2) * century
    # Some are no days of their month.
    return pd.to_datetime(numbers, utc=True, errors='coerce')


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
    given = values
    if values.dtype.kind == 'O':
        # Words for the moment in which they are read.
        words = values.map(str).str.strip().str.lower()
        values = values.mask(words.isin(['now', 'today']), 'no date')
    times = pd.to_datetime(values, utc=True, errors='coerce', format='ISO8601')
    if times.isna().any():
        times = _to_other_dates(values, name)
    if times.isna().any():
        # A table that was read as texts has texts of seconds.
        numbers = pd.to_numeric(values, errors='coerce')
        is_month = values.map(str).str.fullmatch(r'\s*\d{1,2}\.\d{4}\s*')
        if numbers.notna().all() and not is_month.all():
            return to_seconds(numbers, name)
    bad = np.flatnonzero(times.isna())
    if bad.size:
        raise ValueError(
            f'{name} needs to be a date or a number of seconds in every row; '
            'write dates as YYYY-MM-DD '
            f'(got {given.iloc[bad[0]]!r} in row {bad[0]})'
        )
    return times.dt.tz_localize(None).astype('datetime64[s]').astype('int64')
