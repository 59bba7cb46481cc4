"""Names and texts of nodes from a table of any origin."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_geometric.data import HeteroData

from pyg_darec.datasets._table_checks import (
    check_columns,
    check_not_missing,
    read_table,
)

if TYPE_CHECKING:
    import pandas as pd


def attach_texts(
    data: HeteroData,
    table: 'pd.DataFrame | str | Path',
    id: str = 'item',
    name: str | None = None,
    text: list[str] | None = None,
    missing: str | None = None,
    sep: str | None = None,
    node_type: str = 'item',
) -> HeteroData:
    r"""Puts what a table says about nodes on the nodes, in place: a
    :obj:`name` and a :obj:`text` for each, by :obj:`data[node_type].id`.

    .. code-block:: python

        data = from_table('orders.csv', item='product')
        attach_texts(data, 'products.csv', id='product', name='title')

    A text is the value of its column; of several columns, a line
    :obj:`'column: value'` for each that is not empty. A node without a name
    is called by its id. Rows of other nodes are passed over. Ids match if
    they are written alike, :obj:`7` and :obj:`'7'`.

    Args:
        data (torch_geometric.data.HeteroData): The graph, as
            :func:`~pyg_darec.datasets.from_table` makes it.
        table (pandas.DataFrame or str or Path): The table, or its file as
            :func:`~pyg_darec.datasets.from_table` takes it, with one node a
            row.
        id (str, optional): The column of ids. (default: :obj:`'item'`)
        name (str, optional): The column of names. If :obj:`None`, the first
            one besides :obj:`id`. (default: :obj:`None`)
        text (list, optional): The columns of texts. If :obj:`None`, all
            besides :obj:`id`. (default: :obj:`None`)
        missing (str, optional): The text of nodes without one. If
            :obj:`None`, all need one. (default: :obj:`None`)
        sep (str, optional): The column separator of a text file. If
            :obj:`None`, a comma, and a tab in ``.tsv`` files.
            (default: :obj:`None`)
        node_type (str, optional): The type of the nodes.
            (default: :obj:`'item'`)

    Returns:
        :obj:`data`.

    Raises:
        ValueError: If a column or an id is missing, an id has rows that
            differ, a node has no text, or the file cannot be read as a table.
        FileNotFoundError: If there is no such file.
    """
    source = 'The table'
    if isinstance(table, str | Path):
        source = f"'{table}'"
        # As they are written: a title '1984' is no number.
        table = read_table(Path(table), (id, id), sep, dtype=str)
    others = [column for column in table.columns if column != id]
    check_columns(table, [id, *(text or ()), *([name] if name else ())], source)
    if not others:
        raise ValueError(
            f"{source} needs a column of texts besides '{id}' "
            f'(got {list(table.columns)})'
        )
    name, text = name or others[0], text or others
    check_columns(table, [name, *text], source)
    check_not_missing(table[id], f"Column '{id}' of {source}")

    rows: dict[str, tuple[int, str, str]] = {}
    columns = [table[column].tolist() for column in (id, name, *text)]
    for row, (key, title, *values) in enumerate(zip(*columns, strict=True)):
        key = str(key)
        parts = {c: _text(v) for c, v in zip(text, values, strict=True)}
        lines = [f'{c}: {v}' for c, v in parts.items() if v]
        joined = '\n'.join(lines) if len(text) > 1 else parts[text[0]]
        first, *known = rows.setdefault(key, (row, _text(title), joined))
        if known != [_text(title), joined]:
            raise ValueError(
                f"{source} needs one row per id in column '{id}'; remove one "
                f'of two that differ (got {key!r} in rows {first} and {row})'
            )

    ids = [str(value) for value in data[node_type].id]
    unknown = (-1, '', '')
    texts = [rows.get(key, unknown)[2] or missing or '' for key in ids]
    lacking = [key for key, value in zip(ids, texts, strict=True) if not value]
    if lacking:
        row = rows.get(lacking[0], unknown)[0]
        raise ValueError(
            f'{source} has no text for {len(lacking)} of {len(ids)} nodes of '
            f"type '{node_type}', first id {lacking[0]!r:.80}; add it, or pass "
            "the text of such nodes as 'missing' (got "
            f'{"no row of that id" if row < 0 else f"an empty row {row}"})'
        )
    data[node_type].name = [rows.get(key, unknown)[1] or key for key in ids]
    data[node_type].text = texts
    return data


def _text(value: Any) -> str:
    is_missing = value is None or value != value  # NaN
    return '' if is_missing else str(value).strip()
