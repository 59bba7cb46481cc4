"""Tables from files."""

import csv
import lzma
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

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
# Rows at once: what nobody asked for is dropped before the next are read.
_CHUNK = 2**16


class SeparatorError(ValueError):
    r"""A file that another separator may be right for."""

    def __init__(self, problem: str, sep: str, got: object) -> None:
        self.parts = problem, sep, got
        super().__init__(self.advising('sep='))

    def advising(self, prefix: str) -> str:
        r"""The message, with the spelling of what to pass."""
        problem, sep, got = self.parts
        return f'{problem}; pass {prefix}{sep} (got {got})'


def read_table(
    table: Any,
    ids: Sequence[str],
    sep: str | None,
    numbers: Sequence[str] = (),
    columns: Sequence[str] | None = None,
) -> tuple[Any, str]:
    """A table as it is, or from its file, and what messages call it. The
    columns of a file are texts, but for :obj:`numbers`, of which pandas finds
    the type, and :obj:`ids` that are whole numbers throughout. Of a file that
    has all of :obj:`columns`, no others are kept.
    """
    try:
        import pandas as pd
    except ImportError as e:
        raise ImportError(
            "Tables need pandas and pyarrow; run 'pip install pandas pyarrow'"
        ) from e
    if isinstance(table, pd.DataFrame):
        return table, 'The table'
    if not isinstance(table, str | os.PathLike):
        raise TypeError(
            "'table' needs to be a pandas DataFrame or the path of a file; "
            f"make one with 'pandas.DataFrame' (got '{type(table).__name__}')"
        )
    path = Path(table)
    return _read_file(path, ids, sep, numbers, columns), f"'{table}'"


def _read_file(
    path: Path,
    ids: Sequence[str],
    sep: str | None,
    numbers: Sequence[str],
    columns: Sequence[str] | None,
) -> Any:
    import pandas as pd

    suffixes = [s.lower() for s in path.suffixes]
    is_folder = path.is_dir()  # of parts, as Spark writes them
    if is_folder and not any(path.rglob('*.parquet')):
        raise ValueError(
            f"'{path}' is a folder without the parts of a Parquet file; make "
            "one file of what is in it, and pass that (got no '*.parquet')"
        )
    if not is_folder and not path.is_file():
        raise FileNotFoundError(
            f"There is no table '{path}'; check the path (got '{Path.cwd()}' "
            f'as the current folder)'
        )
    if is_folder or suffixes[-1:] == ['.parquet']:
        try:
            return _read_parquet(path, columns)
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
        # As they are written: '007' is not 7, 'None' may be a name.
        'dtype': str,
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
            first = pd.read_csv(path, header=None, nrows=1, **options)
            names = first.iloc[0].tolist()
            table, is_one_line = _read_chunks(
                path, names, numbers, columns, options
            )
    except PermissionError:
        raise
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
            f'separator {sep!r}; pass the right one, save it in UTF-8, or '
            f'read it with pandas and pass the DataFrame (got {e})'
        ) from e
    for column in ids:
        if names.count(column) == 1:
            _check_lines(table[column], path)
            table[column] = _parse_whole_numbers(table[column])
    for column in numbers:
        if names.count(column) == 1:
            table[column] = _parse_numbers(table[column])
    if not is_one_line and len(options['sep']) == 1:
        _check_quotes(path, options)
    for other, name in _SEPARATORS.items():
        header = str(table.columns[0])
        if len(names) == 1 and other in header:
            raise SeparatorError(
                f"'{path}' looks as if {name} separates its columns",
                sep=repr(other),
                got=f'the single column {header!r}',
            )
    return table


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Any:
    import pandas as pd

    if columns is not None:
        with suppress(ValueError):  # one is missing, or there twice
            table = pd.read_parquet(path, columns=list(dict.fromkeys(columns)))
            if set(columns) <= set(table.columns):
                return table
    return pd.read_parquet(path)


def _read_chunks(
    path: Path,
    names: list[str],
    numbers: Sequence[str],
    columns: Sequence[str] | None,
    options: dict[str, Any],
) -> tuple[Any, bool]:
    """The columns of a file that are asked for, and whether each of all its
    cells is on one line.
    """
    import pandas as pd

    if columns is None or any(names.count(c) != 1 for c in columns):
        kept = list(range(len(names)))
    else:
        kept = [place for place, name in enumerate(names) if name in columns]
    missing = {n: _NO_NUMBER if n in numbers else [''] for n in names}
    parts, is_one_line = [], True
    # With 'usecols', pandas would take rows with too many values.
    with pd.read_csv(
        path, na_values=missing, chunksize=_CHUNK, **options
    ) as chunks:
        for chunk in chunks:
            pairs = zip(names, chunk.columns, strict=True)
            chunk.columns = [name or unnamed for name, unnamed in pairs]
            is_one_line = is_one_line and not any(
                chunk.iloc[:, n].str.contains('[\r\n]', na=False).any()
                for n in range(len(names))
            )
            parts.append(chunk.iloc[:, kept])
    return pd.concat(parts, ignore_index=True), is_one_line


def _check_lines(values: Any, path: Path) -> None:
    has_several = values.str.contains('\n', regex=False, na=False)
    for row in has_several.to_numpy(dtype=bool).nonzero()[0][:1]:
        raise ValueError(
            f"Column '{values.name}' of '{path}' holds an id of several "
            'lines, as where a quotation mark has no partner; write it '
            'twice within two others, or read the file with pandas '
            f'and pass the DataFrame (got {values[row]!r:.80} in row {row})'
        )


def _check_quotes(path: Path, options: dict[str, Any]) -> None:
    """A quotation mark without a partner makes one cell of all rows up to
    the next mark. That one then opens a cell and does not close one: more
    text follows it.
    """
    sep, start = options['sep'], 0
    for number, line in enumerate(_read_lines(path, options), 1):
        place = 0
        while 0 <= place <= len(line):
            if not start and line[place : place + 1] == '"':
                start, place = number, place + 1
            if start:
                end = line.find('"', place)
                if end < 0:  # goes on in the next line
                    break
                place = end + 1
                if line[place : place + 1] == '"':  # a mark in the text
                    place += 1
                    continue
                if place < len(line) and line[place] != sep and start < number:
                    raise ValueError(
                        f"'{path}' has a quotation mark without a partner in "
                        f'line {start} or {number}, which would make one row '
                        'of these lines; write it twice within two others, or '
                        'read the file with pandas and pass the DataFrame '
                        f'(got {line!r:.80} in line {number})'
                    )
                start = 0
            after = line.find(sep, place)
            place = after + 1 if after >= 0 else -1


def _read_lines(path: Path, options: dict[str, Any]) -> Iterator[str]:
    """The lines of a file, compressed or not, as pandas tells them apart."""
    import pandas as pd

    whole = {
        **options,
        # One that separates nothing.
        'sep': '\x1f' if options['sep'] != '\x1f' else '\x1e',
        'header': None,
        'usecols': [0],
        'quoting': csv.QUOTE_NONE,
        'skip_blank_lines': False,
        'na_filter': False,
    }
    with pd.read_csv(path, chunksize=_CHUNK, **whole) as chunks:
        for chunk in chunks:
            yield from chunk[0].tolist()


def _parse_numbers(values: Any) -> Any:
    """Texts as numbers or truth values if every one is one."""
    import pandas as pd

    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError):
        lower = values.str.lower()
        is_truth = lower.isin(['true', 'false']).all()
        return lower == 'true' if is_truth else values


def _parse_whole_numbers(values: Any) -> Any:
    """Texts as integers if every one is an integer in its usual form, or as
    pandas writes it in a column that once had missing values.
    """
    import pandas as pd

    form = re.compile(r'(0|-?[1-9]\d{0,17})(\.0)?', re.ASCII)
    codes, unique = values.factorize()
    if (codes < 0).any() or not all(map(form.fullmatch, unique)):
        return values
    whole = [int(value.removesuffix('.0')) for value in unique]
    return pd.Series(np.array(whole, dtype=np.int64)[codes], values.index)
