"""MovieLens 100k, as it comes with RecBole
(``recbole/dataset_example/ml-100k`` of its package).
"""

import os
from pathlib import Path

import pandas as pd
from text_data import read_columns, with_texts
from torch_geometric.data import HeteroData

from pyg_darec.profiles.encoder import Encoder

LIKED = 4.0  # stars, of five


def load_ml100k(
    root: str | os.PathLike[str],
    seed: int = 0,
    encoder: Encoder | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> HeteroData:
    """Who gave which film four stars or more, see :func:`with_texts`. The text
    of a film is its title, year and genres.

    Args:
        root: The folder of ml-100k.inter and ml-100k.item.
    """
    ratings = read(root, 'ml-100k.inter', ['user_id', 'item_id', 'rating'])
    liked = ratings[ratings['rating'].astype(float) >= LIKED]
    films = read(
        root,
        'ml-100k.item',
        ['item_id', 'movie_title', 'release_year', 'class'],
    ).set_index('item_id')

    def describe(ids: list[int]) -> list[str]:
        missing = set(ids) - set(films.index)
        if missing:
            raise ValueError(
                f"'{Path(root, 'ml-100k.item')}' needs every film of "
                f"'ml-100k.inter' (got none of id {min(missing)})"
            )
        return [
            f'{title} ({year}): {genres}'
            for title, year, genres in films.loc[ids].itertuples(index=False)
        ]

    return with_texts(
        liked[['user_id', 'item_id']],
        describe,
        'Fan of',
        seed,
        encoder,
        cache_dir,
    )


def read(
    root: str | os.PathLike[str], file: str, columns: list[str]
) -> pd.DataFrame:
    """Columns of one of RecBole's atomic files."""
    return read_columns(
        Path(root, file),
        columns,
        "'recbole/dataset_example/ml-100k' of the package recbole",
        dtype=str,
    )
