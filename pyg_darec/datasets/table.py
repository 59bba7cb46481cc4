"""Interactions from a table of any origin."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch_geometric.data import HeteroData

from pyg_darec.datasets._read_table import read_table
from pyg_darec.datasets._table_checks import (
    check_columns,
    describe_column,
    to_ids,
    to_numbers,
)
from pyg_darec.datasets._table_dates import to_seconds
from pyg_darec.graph import EDGE_TYPE, EdgeType

if TYPE_CHECKING:
    import pandas as pd


def from_table(
    table: 'pd.DataFrame | str | Path',
    user: str = 'user',
    item: str = 'item',
    time: str | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    sep: str | None = None,
    edge_type: EdgeType = EDGE_TYPE,
) -> HeteroData:
    r"""Makes a graph of a table with one interaction a row.

    .. code-block:: python

        data = from_table('ratings.csv', time='date', rating='stars',
                          min_rating=4)
        data = SplitInteractions('leave_last')(data)
        title = items.set_index('item').title  # another table
        data['item'].profile = title[data['item'].id].tolist()

    Node :math:`n` is the :math:`n`-th smallest id, so that the order of rows
    has no influence. The original ids are kept as lists,
    :obj:`data['user'].id` and :obj:`data['item'].id`; ids that are whole
    numbers become :obj:`int`, and ids that are neither whole numbers nor texts,
    such as :obj:`0.5`, a :class:`~uuid.UUID` or a date, what they are written
    like.
    **All** interactions go to :obj:`edge_index`, sorted by user, then by
    item: split them with :class:`~pyg_darec.transforms.SplitInteractions`.

    If a pair occurs several times, its earliest row counts; without
    :obj:`time`, its first row.

    Args:
        table (pandas.DataFrame or str or Path): The table, or the path of a
            ``.csv``, ``.tsv`` or ``.txt`` file (compressed or not), of a
            ``.parquet`` file or of a folder of its parts. In a text file, an
            id is missing only if it is empty: :obj:`NA` and :obj:`None` are
            ids.
        user (str, optional): The column of user ids.
            (default: :obj:`'user'`)
        item (str, optional): The column of item ids.
            (default: :obj:`'item'`)
        time (str, optional): The column of times: dates, texts that
            :meth:`pandas.to_datetime` understands (UTC unless they say
            otherwise; where the day, the month or a year of two digits may
            come first, what all rows can be read by, and an error where that
            is several), or numbers in seconds. Kept as whole seconds since
            1970 in :obj:`time`. (default: :obj:`None`)
        rating (str, optional): The column of ratings, kept in
            :obj:`rating`. (default: :obj:`None`)
        min_rating (float, optional): Rows with lower ratings are dropped,
            and with them users and items that have no others.
            (default: :obj:`None`)
        sep (str, optional): The column separator of a text file. If
            :obj:`None`, a comma, and a tab in ``.tsv`` files; :obj:`'tab'`
            is a tab, too.
            (default: :obj:`None`)
        edge_type (tuple, optional): The relation to make, from users to
            items. (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        TypeError: If :obj:`table` is neither a table nor a path.
        ValueError: If a column is missing, an id, time or rating is missing
            or of the wrong kind, ids of one column are of several types or
            written alike, no row is left, the file cannot be read as a table,
            :obj:`user` and :obj:`item` are one column, or :obj:`edge_type`
            has one type of nodes only.
        FileNotFoundError: If there is no such file.
        ImportError: If :obj:`pandas` is not installed.
    """
    if min_rating is not None and rating is None:
        raise ValueError(
            "'min_rating' needs the column of ratings; pass 'rating' "
            f'(got min_rating={min_rating})'
        )
    if edge_type[0] == edge_type[-1]:
        raise ValueError(
            "'edge_type' needs two types of nodes, which are numbered each on "
            f'its own (got {edge_type})'
        )
    if user == item:
        raise ValueError(
            f"'user' and 'item' need to be two columns (got {user!r} for both)"
        )
    chosen = {'user': user, 'item': item, 'time': time, 'rating': rating}
    columns = {key: c for key, c in chosen.items() if c is not None}
    numbers = [columns[key] for key in ('time', 'rating') if key in columns]
    table, name = read_table(
        table, (user, item), sep, numbers, list(columns.values())
    )
    import pandas as pd  # only now: the reader says how to install it

    check_columns(table, list(columns.values()), name)
    frame = pd.DataFrame(
        {
            key: _READERS[key](
                table[c].reset_index(drop=True), describe_column(c, name)
            )
            for key, c in columns.items()
        }
    )
    if min_rating is not None:
        frame = frame[frame.rating >= min_rating]
        if len(frame) == 0:
            raise ValueError(
                f"{name} has no rating in '{rating}' that 'min_rating' lets "
                f'through (got min_rating={min_rating})'
            )

    data = HeteroData()
    for key, node_type in (('user', edge_type[0]), ('item', edge_type[2])):
        frame[key], ids = frame[key].factorize(sort=True)
        data[node_type].id = ids.tolist()
        data[node_type].num_nodes = len(ids)
    if time is not None:
        frame = frame.sort_values('time', kind='stable')
    frame = frame.drop_duplicates(['user', 'item'], keep='first')
    frame = frame.sort_values(['user', 'item'])
    pairs = frame[['user', 'item']].to_numpy(dtype=np.int64).T
    data[edge_type].edge_index = torch.from_numpy(pairs.copy())
    if time is not None:
        data[edge_type].time = torch.tensor(frame.time.to_numpy(np.int64))
    if rating is not None:
        value = torch.tensor(frame.rating.to_numpy(np.float64))
        data[edge_type].rating = value.to(torch.get_default_dtype())
        if not bool(data[edge_type].rating.isfinite().all()):
            raise ValueError(
                f"Column '{rating}' holds numbers too large for "
                f'{torch.get_default_dtype()} (got {float(value.max())})'
            )
    return data


_READERS = {
    'user': to_ids,
    'item': to_ids,
    'time': to_seconds,
    'rating': to_numbers,
}
