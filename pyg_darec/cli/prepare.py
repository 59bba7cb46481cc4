from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pyg_darec.cli.naming_sep import naming_sep
from pyg_darec.cli.output import say
from pyg_darec.cli.paths import profile_files
from pyg_darec.datasets import from_table
from pyg_darec.datasets.folder import save_data
from pyg_darec.datasets.texts import attach_texts
from pyg_darec.graph import BipartiteGraph
from pyg_darec.io.folder import MANIFEST
from pyg_darec.io.lock import lock_folder
from pyg_darec.transforms import KCore, SplitInteractions
from pyg_darec.transforms.split_interactions import Strategy


def prepare(
    table: Path,
    data: Path,
    *,
    user: str = 'user',
    item: str = 'item',
    time: str | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    sep: str | None = None,
    items: Path | None = None,
    items_sep: str | None = None,
    item_id: str | None = None,
    name: str | None = None,
    text: list[str] | None = None,
    missing: str | None = None,
    k_core: int | None = None,
    split: Strategy = 'random',
    ratios: tuple[float, ...] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> None:
    """Make a data folder of a table of interactions.

    The interactions are split into a part to train on and two to validate and
    test on. An earlier data folder stays as it was until the new one is
    complete.

    Args:
        table: a CSV or Parquet file, or a folder of Parquet files, with one
            interaction a row
        data: the data folder to write
        user: the column of user ids
        item: the column of item ids
        time: the column of times: dates, or seconds
        rating: the column of ratings
        min_rating: drop interactions with a lower rating
        sep: what separates the columns of CSV files, if it is no comma
        items: a CSV or Parquet file with the texts of items, one item a row
        items_sep: what separates the columns of ITEMS, if it is not SEP
        item_id: the column of item ids in ITEMS, if it has another name there
        name: the column with names in ITEMS, if it is not the first one beside
            the ids
        text: the columns of ITEMS that the text of an item consists of, if
            not all of them beside the ids
        missing: the text of items without one, '' for no profile; otherwise
            they are an error
        k_core: drop users and items with fewer interactions than this
        split: which interactions to hold out: 'random' ones of each user, the
            last two of each user ('leave_last') or the last of all
            ('temporal')
        ratios: the shares of training, validation and test interactions
        seed: the seed of the split
    """
    if split != 'random' and time is None:
        raise ValueError(
            f"The split '{split}' needs the column of times as --time (got "
            'none)'
        )
    with naming_sep('--sep'):
        graph = from_table(
            table, user, item, time, rating, min_rating=min_rating, sep=sep
        )
    if k_core is not None:
        graph = KCore(k_core)(graph)
    if items is not None:
        key, items_sep = item_id or item, items_sep or sep
        with naming_sep('--items-sep'):
            attach_texts(graph, items, key, name, text, missing, items_sep)
        _tell_missing(graph['item'].text, graph['item'].id, missing)
    three = tuple(ratios)
    graph = SplitInteractions(split, three, seed)(graph)  # type: ignore[arg-type]
    # A run of 'encode' would put back the graph that it began with.
    is_there = (data / MANIFEST).is_file()
    with lock_folder(data) if is_there else nullcontext():
        save_data(graph, data)
    if files := profile_files(data):
        names = ', '.join(map(str, files.values()))
        say(
            f'{data}: what a language model wrote of earlier data is kept in '
            f"{names}; run 'profile' again, which asks for what has changed, "
            'or remove it'
        )
    say(f'{data}: {BipartiteGraph.from_data(graph)}')


def _tell_missing(
    texts: Sequence[str], ids: Sequence[Any], missing: str | None
) -> None:
    """Ids of two tables that are written in two ways look like that, too."""
    lacking = [n for n, text in enumerate(texts) if text == missing]
    if lacking:
        say(
            f'{len(lacking)} of {len(texts)} items have no text in the table, '
            f'the first of them {ids[lacking[0]]!r}'
        )
