"""What the data sets of the benchmarks with texts have in common."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from torch_geometric.data import HeteroData

from pyg_darec.datasets import from_table
from pyg_darec.datasets.purchase_profiles import purchase_profiles
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.profiles.encoder import Encoder
from pyg_darec.transforms import (
    AttachProfileEmbeddings,
    KCore,
    SplitInteractions,
)

NUM_ITEMS = 15  # in the text of a user


def with_texts(
    table: pd.DataFrame,
    describe: Callable[[list[int]], list[str]],
    user_prefix: str,
    seed: int,
    encoder: Encoder | None,
    cache_dir: str | os.PathLike[str] | None,
) -> HeteroData:
    """The 5-core of a table of users and items, in its first two columns,
    split 3:1:1 at random. The text of a user lists the items of training
    interactions that are most typical.

    Args:
        table: The interactions.
        describe: The texts of items, given their ids.
        user_prefix: What the text of a user starts with.
        seed: The seed of the split.
        encoder: What embeds the texts as ``llm_x``, such as the name of a
            sentence-transformers model; without one, there are only texts.
        cache_dir: The folder to keep embeddings in.
    """
    user, item = table.columns[:2]
    data = from_table(table, user=user, item=item)
    data = SplitInteractions('random', seed=seed)(KCore(5)(data))
    data['item'].profile = describe(data['item'].id)
    listed = purchase_profiles(
        data[EDGE_TYPE].edge_index,
        [''] * data['user'].num_nodes,
        data['item'].profile,
        NUM_ITEMS,
    )
    data['user'].profile = [
        f'{user_prefix}: {text.split(": ", 1)[1]}' for text in listed
    ]
    if encoder is not None:
        data = AttachProfileEmbeddings(encoder=encoder, cache_dir=cache_dir)(
            data
        )
    return data


def read_columns(
    path: Path, columns: list[str], source: str, **options: Any
) -> pd.DataFrame:
    """Columns of a tab-separated file; types after a colon are not part of
    their names.

    Args:
        path: The file.
        columns: The names of the columns.
        source: Where such a file is to be had.
        options: More arguments of :func:`pandas.read_csv`.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"'{path}' is needed; it is in {source} (got no such file)"
        )
    table = pd.read_csv(
        path,
        sep='\t',
        quoting=csv.QUOTE_NONE,  # quotation marks belong to the names
        keep_default_na=False,
        **options,
    )
    table.columns = [name.split(':')[0] for name in table.columns]
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"'{path}' needs the columns {columns} (got {list(table)})"
        )
    return table[columns]
