"""Reading a table and saying what is wrong with it."""

import re
import warnings
import zlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

_TEXT = ('.csv', '.tsv', '.txt')
_SEPARATORS = {',': 'a comma', ';': 'a semicolon', '\t': 'a tab', '|': 'a bar'}


def read_table(
    path: Path, ids: tuple[str, str], sep: str | None, dtype: Any = None
) -> Any:
    import pandas as pd

    suffixes = [s.lower() for s in path.suffixes]
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no table '{path}'; check the path (got '{Path.cwd()}' "
            f'as the current folder)'
        )
    if suffixes[-1:] == ['.parquet']:
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as e:
            raise ValueError(
                f"'{path}' is not a complete Parquet file; write it again "
                f'(got {e})'
            ) from e
    if not set(suffixes) & set(_TEXT):
        raise ValueError(
            f"'{path}' needs to end in one of {(*_TEXT, '.parquet')}; read "
            f'other formats with pandas and pass the DataFrame '
            f"(got '{path.suffix}')"
        )
    if sep is None:
        sep = '\t' if '.tsv' in suffixes else ','
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                sep=sep,
                # As they are written: '007' is not 7.
                dtype=dtype or dict.fromkeys(ids, str),
                # Rows with one value too many would make the first an index.
                index_col=False,
                # Drops the byte order mark that spreadsheets put first.
                encoding='utf-8-sig',
            )
    except (
        ValueError,
        pd.errors.ParserWarning,
        OSError,  # this and the next two: damaged compressed files
        EOFError,
        zlib.error,
    ) as e:
        raise ValueError(
            f"'{path}' is not a table in UTF-8 with one header line and the "
            f"separator {sep!r}; pass the right 'sep', or read it with "
            f'pandas and pass the DataFrame (got {e})'
        ) from e
    for column in ids:
        if column in table:
            table[column] = _parse_whole_numbers(table[column])
    for other, name in _SEPARATORS.items():
        header = str(table.columns[0])
        if len(table.columns) == 1 and other in header:
            raise ValueError(
                f"'{path}' looks as if {name} separates its columns; pass "
                f'sep={other!r} (got the single column {header!r})'
            )
    return table


def check_columns(table: Any, columns: list[str], name: str) -> None:
    for column in columns:
        count = list(table.columns).count(column)
        if count != 1:
            raise ValueError(
                f"{name} needs exactly one column '{column}'; pass the name "
                f'of the right one (got {list(table.columns)})'
            )
    if len(table) == 0:
        raise ValueError(f'{name} has no interactions (got 0 rows)')


def check_not_missing(values: Any, name: str) -> None:
    missing = np.flatnonzero(values.isna())
    if missing.size:
        raise ValueError(
            f'{name} is missing in {missing.size} rows; drop or fill them '
            f'(got the first in row {missing[0]})'
        )


def to_ids(values: Any, name: str) -> Any:
    """Ids of one type: as they are, whole numbers as Python integers."""
    import pandas as pd

    check_not_missing(values, name)
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        # What pandas makes of integers that had missing ones among them.
        values = values.map(int)
    ids = [
        value.item() if isinstance(value, np.generic) else value
        for value in values.tolist()
    ]
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
    return pd.Series(ids, dtype=object)


def _parse_whole_numbers(values: Any) -> Any:
    """Texts as integers if every one is an integer in its usual form, or as
    pandas writes it in a column that once had missing values.
    """
    form = re.compile(r'(0|-?[1-9]\d{0,17})(\.0)?')
    if all(isinstance(v, str) and form.fullmatch(v) for v in values):
        return values.map(lambda v: int(v.removesuffix('.0')))
    return values


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


def to_seconds(values: Any, name: str) -> Any:
    """Dates, texts of dates or numbers as whole seconds since 1970."""
    import pandas as pd

    check_not_missing(values, name)
    if pd.api.types.is_numeric_dtype(values):
        return np.floor(to_numbers(values, name)).astype('int64')
    # With and without a time of day in one column; else pandas' own guess.
    times = pd.to_datetime(values, utc=True, errors='coerce', format='ISO8601')
    if times.isna().any():
        times = pd.to_datetime(values, utc=True, errors='coerce')
    bad = np.flatnonzero(times.isna())
    if bad.size:
        raise ValueError(
            f'{name} needs to be a date or a number of seconds in every row '
            f'(got {values.iloc[bad[0]]!r} in row {bad[0]})'
        )
    return times.dt.tz_localize(None).astype('datetime64[s]').astype('int64')
