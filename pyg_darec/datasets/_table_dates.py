"""Points in time, in whatever way a table has them."""

import re
import warnings
from typing import Any

import numpy as np

from pyg_darec.datasets._table_checks import check_not_missing, to_numbers

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


def _is_written_as_date(numbers: Any, name: str) -> bool:
    """Whether all numbers are dates such as 20191231. Those with the day or
    the month first are an error: as seconds, they are in another order.
    """
    value = numbers.to_numpy()
    head, tail = value // 10_000, value % 10_000

    def is_date(year: Any, month: Any, day: Any = 1) -> bool:
        is_one = (year >= 1900) & (year < 2100) & (month >= 1) & (month <= 12)
        is_one = is_one & (day >= 1) & (day <= 31)
        return value.size > 0 and bool(is_one.all())

    if is_date(head, tail // 100, tail % 100):
        return True
    is_other = (
        is_date(tail, head % 100, head // 100)
        or is_date(tail, head // 100, head % 100)
        or is_date(tail, head)
    )
    if is_other and len(np.unique(value)) > 1:
        raise ValueError(
            f'{name} holds dates without a mark between day, month and year; '
            f'write them as YYYY-MM-DD (got {value[0]})'
        )
    return False


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
        seconds = np.floor(numbers).astype('int64')
        if _is_written_as_date(seconds, name):
            return to_seconds(seconds.map(str), name)
        return seconds
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
