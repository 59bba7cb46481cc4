"""Columns of a Parquet file as arrays."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np


def read_columns(path: Path) -> dict[str, Any]:
    r"""One array per column; a matrix for a column of lists, or the list of
    its rows where these differ in length or are missing.

    Raises:
        ImportError: If :obj:`pyarrow` is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            f"'{path}' needs 'pyarrow' to be read; run 'pip install "
            f"pyarrow' (got {error})"
        ) from error
    table = pq.read_table(path)
    return {
        name: _to_array(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _to_array(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)
    if not isinstance(column.type, kinds):
        # Integers with missing values would become floats here.
        if column.null_count and not pa.types.is_floating(column.type):
            return np.array(column.to_pylist(), dtype=object)
        return column.to_numpy()
    lengths = np.unique(pc.list_value_length(column).to_numpy())
    if column.null_count or len(lengths) > 1:
        return column.to_pylist()
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)


# What pandas calls the index of a table whose rows were moved.
_INDEX = re.compile(r'__index_level_\d+__')
# Names of dimensions: the same but for a number.
_NUMBERED = re.compile(r'(.*?)(\d+)(\D*)')


def merge_columns(
    columns: dict[str, Any], where: str, has_ids: bool = False
) -> dict[str, Any]:
    r"""Makes one matrix of a file that has a column for each dimension, such as
    :obj:`'0'`, :obj:`'1'` or :obj:`'dim_0'`, :obj:`'dim_1'`, by their numbers.

    Args:
        columns (dict): The columns other than that of ids.
        where (str): What error messages call the file.
        has_ids (bool, optional): Whether there is one of ids, so that the
            nameless index of a table says nothing and is left out.
            (default: :obj:`False`)

    Raises:
        ValueError: If one of these columns is not floating-point, an index
            that may hold the ids, or not numbered like the others: ids with
            gaps among them are floating-point as well.
    """
    if has_ids:
        columns = {
            name: column
            for name, column in columns.items()
            if not _INDEX.fullmatch(name)
        }
    arrays = columns.values()
    if not all(isinstance(x, np.ndarray) and x.ndim == 1 for x in arrays):
        return columns  # one is a column of lists
    found = {name: _NUMBERED.fullmatch(name) for name in columns}
    words = Counter(match.group(1, 3) for match in found.values() if match)
    word = words.most_common(1)[0][0] if words else None
    for name, column in columns.items():
        match = found[name]
        is_other = match is None or match.group(1, 3) != word
        if column.dtype.kind != 'f' or is_other or _INDEX.fullmatch(name):
            raise ValueError(
                f"Column '{name}' of {where} is no dimension, which are "
                "floating-point and numbered, such as 'x0', 'x1'; remove it, "
                "or if it holds the ids, pass its name as 'id_column' "
                f'(got dtype {column.dtype})'
            )
    numbers = {name: int(match[2]) for name, match in found.items() if match}
    ordered = sorted(columns, key=numbers.__getitem__)
    if not columns:
        return columns
    return {'': np.column_stack([columns[name] for name in ordered])}
