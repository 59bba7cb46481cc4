"""Columns of a Parquet file as arrays."""

import re
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
            f"pyg-darec[table]' (got {error})"
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


def merge_columns(
    columns: dict[str, Any], where: str, has_ids: bool = False
) -> dict[str, Any]:
    r"""Makes one matrix of a file that has a column for each dimension.

    Args:
        columns (dict): The columns other than that of ids.
        where (str): What error messages call the file.
        has_ids (bool, optional): Whether there is one of ids, so that the
            nameless index of a table says nothing and is left out.
            (default: :obj:`False`)

    Raises:
        ValueError: If one of these columns is not floating-point, or an index
            that may hold the ids.
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
    for name, column in columns.items():
        if column.dtype.kind != 'f' or _INDEX.fullmatch(name):
            raise ValueError(
                f"Column '{name}' of {where} is no dimension; remove it, or "
                "if it holds the ids, pass its name as 'id_column' "
                f'(got dtype {column.dtype})'
            )
    return {'': np.column_stack(list(arrays))} if columns else columns
