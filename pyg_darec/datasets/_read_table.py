"""Tables from files."""

import lzma
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
            "Tables need pandas and pyarrow; run 'pip install pandas pyarrow'"
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


def _parse_whole_numbers(values: Any) -> Any:
    """Texts as integers if every one is an integer in its usual form, or as
    pandas writes it in a column that once had missing values.
    """
    form = re.compile(r'(0|-?[1-9]\d{0,17})(\.0)?')
    if all(isinstance(v, str) and form.fullmatch(v) for v in values):
        return values.map(lambda v: int(v.removesuffix('.0')))
    return values
