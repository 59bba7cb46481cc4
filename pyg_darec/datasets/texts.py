"""Names and texts of nodes from a table of any origin."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.datasets._read_table import read_table
from pyg_darec.datasets._table_checks import (
    check_columns,
    check_not_missing,
    describe_column,
)
from pyg_darec.profiles.cell import to_text
from pyg_darec.profiles.written_ids import WrittenIds, written

if TYPE_CHECKING:
    import pandas as pd


def attach_texts(
    data: HeteroData,
    table: 'pd.DataFrame | str | Path',
    id: str = 'item',
    name: str | None = None,
    text: str | list[str] | None = None,
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
    they are written alike, :obj:`7` and :obj:`'7'`; :obj:`7.0`, which tables
    make of whole numbers that have gaps among them, is :obj:`7`.

    Args:
        data (torch_geometric.data.HeteroData): The graph, as
            :func:`~pyg_darec.datasets.from_table` makes it.
        table (pandas.DataFrame or str or Path): The table, or its file as
            :func:`~pyg_darec.datasets.from_table` takes it, with one node a
            row.
        id (str, optional): The column of ids. (default: :obj:`'item'`)
        name (str, optional): The column of names. If :obj:`None`, the first
            one besides :obj:`id`. (default: :obj:`None`)
        text (str or list, optional): The columns of texts. If :obj:`None`,
            all besides :obj:`id`. (default: :obj:`None`)
        missing (str, optional): The text of nodes without one. With
            :obj:`''`, they have no profile: a text that says so would be
            embedded like any other. If :obj:`None`, all need one.
            (default: :obj:`None`)
        sep (str, optional): The column separator of a text file. If
            :obj:`None`, a comma, and a tab in ``.tsv`` files.
            (default: :obj:`None`)
        node_type (str, optional): The type of the nodes.
            (default: :obj:`'item'`)

    Returns:
        :obj:`data`.

    Raises:
        TypeError: If :obj:`table` is neither a table nor a path.
        ValueError: If nodes have no ids, a column or an id is missing, an id
            has rows that differ, a node has no text, or the file cannot be
            read as a table.
        FileNotFoundError: If there is no such file.
    """
    if node_type not in data.node_types or 'id' not in data[node_type]:
        raise ValueError(
            f"data['{node_type}'].id needs to hold the id of each node; set "
            "it, or make the graph with 'from_table' (got none among "
            f'{data.node_types})'
        )
    known_ids = data[node_type].id
    if isinstance(known_ids, Tensor | np.ndarray):
        known_ids = known_ids.tolist()
    table, source = read_table(table, (id,), sep)
    text = [text] if isinstance(text, str) else text
    others = [column for column in table.columns if column != id]
    check_columns(table, [id, *(text or ()), *([name] if name else ())], source)
    if not others:
        raise ValueError(
            f"{source} needs a column of texts besides '{id}' "
            f'(got {list(table.columns)})'
        )
    name, text = name or others[0], text or others
    check_columns(table, [name, *text], source)
    check_not_missing(table[id], describe_column(id, source))

    rows: dict[str, tuple[int, str, str]] = {}
    other_rows: dict[str, int] = {}  # which differ from those
    columns = [table[column].tolist() for column in (id, name, *text)]
    for row, (key, title, *values) in enumerate(zip(*columns, strict=True)):
        key = written(key)
        title = to_text(title).strip()
        cells = [to_text(value).strip() for value in values]
        parts = dict(zip(text, cells, strict=True))
        lines = [f'{c}: {v}' for c, v in parts.items() if v]
        joined = '\n'.join(lines) if len(text) > 1 else parts[text[0]]
        if rows.setdefault(key, (row, title, joined))[1:] != (title, joined):
            other_rows.setdefault(key, row)

    ids = [str(value) for value in known_ids]
    keys = list(rows)
    row_ids, unknown = WrittenIds(keys), (-1, '', '')
    # A row that another node has by its very letters is not of this one.
    taken = {key for key in ids if key in rows}
    found = []
    for key in ids:
        place = row_ids.find(key)
        own = place >= 0 and (keys[place] == key or keys[place] not in taken)
        if own and keys[place] in other_rows:
            both = f'{rows[keys[place]][0]} and {other_rows[keys[place]]}'
            raise ValueError(
                f"{source} needs one row per id in column '{id}'; remove one "
                f'of two that differ (got {keys[place]!r} in rows {both})'
            )
        found.append(rows[keys[place]] if own else unknown)
    if all(row < 0 for row, _, _ in found):
        raise ValueError(
            f"No id in column '{id}' of {source[0].lower()}{source[1:]} is "
            f"that of a node of type '{node_type}'; name the column that holds "
            f'them (got {keys[0]!r:.80}, where nodes have {ids[0]!r:.80})'
        )
    texts = [value or missing or '' for _, _, value in found]
    lacking = [n for n, value in enumerate(texts) if not value]
    if missing is None and lacking:
        row = found[lacking[0]][0]
        raise ValueError(
            f'{source} has no text for {len(lacking)} of {len(ids)} nodes of '
            f"type '{node_type}', first id {ids[lacking[0]]!r:.80}; add it, or "
            "pass the text of such nodes as 'missing' (got "
            f'{"no row of that id" if row < 0 else f"an empty row {row}"})'
        )
    data[node_type].name = [
        title or key for (_, title, _), key in zip(found, ids, strict=True)
    ]
    data[node_type].text = texts
    return data
