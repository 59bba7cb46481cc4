"""Reviews from a table of any origin."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyg_darec.datasets._read_table import read_table
from pyg_darec.datasets._table_checks import (
    check_columns,
    describe_column,
    to_ids,
)
from pyg_darec.profiles.cell import is_missing, to_text

if TYPE_CHECKING:
    import pandas as pd


def read_reviews(
    table: 'pd.DataFrame | str | Path',
    user: str = 'user',
    item: str = 'item',
    text: str = 'text',
    sep: str | None = None,
) -> list[tuple[Any, Any, str | None]]:
    r"""The reviews of a table with one review a row, as
    :func:`~pyg_darec.profiles.item_prompts` takes them. Ids become what
    :func:`~pyg_darec.datasets.from_table` makes of them.

    Args:
        table (pandas.DataFrame or str or Path): The table, or its file as
            :func:`~pyg_darec.datasets.from_table` takes it.
        user (str, optional): The column of user ids.
            (default: :obj:`'user'`)
        item (str, optional): The column of item ids.
            (default: :obj:`'item'`)
        text (str, optional): The column of texts, which may be empty.
            (default: :obj:`'text'`)
        sep (str, optional): The column separator of a text file. If
            :obj:`None`, a comma, and a tab in ``.tsv`` files.
            (default: :obj:`None`)

    Raises:
        TypeError: If :obj:`table` is neither a table nor a path.
        ValueError: If a column or an id is missing, ids are of several types,
            or the file cannot be read as a table.
        FileNotFoundError: If there is no such file.
    """
    table, name = read_table(
        table, (user, item), sep, columns=(user, item, text)
    )
    check_columns(table, [user, item, text], name)
    columns = [
        to_ids(table[key], describe_column(key, name)).tolist()
        for key in (user, item)
    ]
    texts = [
        None if is_missing(value) else to_text(value)
        for value in table[text].tolist()
    ]
    return list(zip(*columns, texts, strict=True))
