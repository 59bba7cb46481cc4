"""Reading a table and saying what is wrong with it."""

import lzma
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_darec.profiles.cell import decode

_TEXT = ('.csv', '.tsv', '.txt')
_SEPARATORS = {',': 'a comma', ';': 'a semicolon', '\t': 'a tab', '|': 'a bar'}
# What a shell makes of a tab, which is hard to type there.
_TYPED = {'\\t': '\t', 'tab': '\t'}
# What pandas takes for missing: right for numbers, wrong for names and ids.
_NO_NUMBER = [
    *('', 'NA', 'N/A', 'n/a', '<NA>', '#N/A', '#N/A N/A', '#NA', 'None'),
    *('null', 'NULL', 'nan', 'NaN', '-nan', '-NaN', '1.#IND', '1.#QNAN'),
    *('-1.#IND', '-1.#QNAN'),
]


def read_table(
    table: Any,
    ids: Sequence[str],
    sep: str | None,
    numbers: Sequence[str] = (),
) -> tuple[Any, str]:
    """A table as it is, or from its file, and what messages call it. The
    columns of a file are texts, but for :obj:`numbers`, of which pandas finds
    the type, and :obj:`ids` that are whole numbers throughout.
    """
    try:
        import pandas as pd
    except ImportError as e:
        raise ImportError(
            "Tables need pandas and pyarrow; run 'pip install pyg-darec[table]'"
        ) from e
    if isinstance(table, pd.DataFrame):
        return table, 'The table'
    if not isinstance(table, str | os.PathLike):
        raise TypeError(
            "'table' needs to be a pandas DataFrame or the path of a file; "
            f"make one with 'pandas.DataFrame' (got '{type(table).__name__}')"
        )
    return _read_file(Path(table), ids, sep, numbers), f"'{table}'"


def _read_file(
    path: Path, ids: Sequence[str], sep: str | None, numbers: Sequence[str]
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
    options: dict[str, Any] = {
        'sep': _TYPED.get(sep, sep),
        # Drops the byte order mark that spreadsheets put first.
        'encoding': 'utf-8-sig',
        'keep_default_na': False,
        # Rows with one value too many would make the first an index.
        'index_col': False,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', pd.errors.ParserWarning)
            # Apart, as pandas would rename the second of two of one name.
            first = pd.read_csv(
                path, header=None, nrows=1, dtype=str, **options
            )
            names = first.iloc[0].tolist()
            texts = [name for name in names if name not in numbers]
            table = pd.read_csv(
                path,
                # As they are written: '007' is not 7, 'None' may be a name.
                dtype=dict.fromkeys(texts, str),
                na_values={
                    name: _NO_NUMBER if name in numbers else ['']
                    for name in names
                },
                **options,
            )
            pairs = zip(names, table.columns, strict=True)
            table.columns = [name or unnamed for name, unnamed in pairs]
    except (
        ValueError,
        pd.errors.ParserWarning,
        OSError,  # this and all below: damaged compressed files
        EOFError,
        RuntimeError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as e:
        raise ValueError(
            f"'{path}' is not a table in UTF-8 with one header line and the "
            f"separator {sep!r}; pass the right 'sep', or read it with "
            f'pandas and pass the DataFrame (got {e})'
        ) from e
    for column in ids:
        if names.count(column) == 1:
            _check_lines(table[column], path)
            table[column] = _parse_whole_numbers(table[column])
    for other, name in _SEPARATORS.items():
        header = str(table.columns[0])
        if len(table.columns) == 1 and other in header:
            raise ValueError(
                f"'{path}' looks as if {name} separates its columns; pass "
                f'sep={other!r} (got the single column {header!r})'
            )
    return table


def _check_lines(values: Any, path: Path) -> None:
    for row, value in enumerate(values.tolist()):
        if isinstance(value, str) and '\n' in value:
            raise ValueError(
                f"Column '{values.name}' of '{path}' holds an id of several "
                'lines, as where a quotation mark has no partner; write it '
                'twice within two others, or read the file with pandas '
                f'and pass the DataFrame (got {value!r:.80} in row {row})'
            )


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
    """Ids of one type: numbers and texts as they are, whole numbers as Python
    integers; others as texts, as a CSV file has them.
    """
    import pandas as pd

    check_not_missing(values, name)
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
    if not isinstance(ids[0], str | int | float):
        written = {value: str(value) for value in dict.fromkeys(ids)}
        alike = [t for t, n in Counter(written.values()).items() if n > 1]
        if alike:
            raise ValueError(
                f'{name} holds different ids that are written alike; convert '
                f'them to texts or numbers (got several {alike[0]!r})'
            )
        ids = [written[value] for value in ids]
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


# Whether days or months come first is in the eye of the reader.
_SHORT = r'\s*\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b.*'


def _to_other_dates(values: Any, name: str) -> Any:
    """Dates of other forms than ISO 8601, with the month first or the day:
    whichever all of them can be read by.
    """
    import pandas as pd

    first = pd.to_datetime(values, utc=True, errors='coerce')
    try:
        is_short = values.str.fullmatch(_SHORT).all()
    except AttributeError:
        is_short = False  # no column of texts
    if not is_short:
        return first
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of a day that is no month
        second = pd.to_datetime(
            values, utc=True, errors='coerce', dayfirst=True
        )
    if first.isna().any():
        return second
    differs = np.flatnonzero(first != second)
    if second.notna().all() and differs.size:
        row = differs[0]
        raise ValueError(
            f'{name} holds dates that can be read with the day or with the '
            'month first; write them as YYYY-MM-DD (got '
            f'{values.iloc[row]!r} in row {row})'
        )
    return first


def to_seconds(values: Any, name: str) -> Any:
    """Dates, texts of dates or numbers as whole seconds since 1970."""
    import pandas as pd

    check_not_missing(values, name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.dtype.categories.dtype)
    # pandas takes numbers in a column of objects for nanoseconds.
    values = values.infer_objects()
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
