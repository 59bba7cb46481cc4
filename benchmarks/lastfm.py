"""The Last.fm data of HetRec 2011 (1,892 listeners, their artists and tags),
from the files that GroupLens hands out.
"""

import os
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd
from text_data import read_columns, with_texts
from torch_geometric.data import HeteroData

from pyg_darec.profiles.encoder import Encoder

NUM_TAGS = 8


def load_lastfm(
    root: str | os.PathLike[str],
    seed: int = 0,
    encoder: Encoder | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> HeteroData:
    """Who listened to whom, see :func:`with_texts`. The text of an artist is
    the name and the most frequent tags.

    Args:
        root: The folder of artists.dat, tags.dat, user_artists.dat and
            user_taggedartists.dat.
    """
    return with_texts(
        read(root, 'user_artists.dat', ['userID', 'artistID']),
        lambda ids: describe_artists(root, ids),
        'Listener of',
        seed,
        encoder,
        cache_dir,
    )


def describe_artists(root: str | os.PathLike[str], ids: list[int]) -> list[str]:
    table = read(root, 'artists.dat', ['id', 'name'])
    name = dict(zip(table['id'], table['name'], strict=True))
    table = read(root, 'tags.dat', ['tagID', 'tagValue'])
    tag = dict(zip(table['tagID'], table['tagValue'], strict=True))
    table = read(root, 'user_taggedartists.dat', ['artistID', 'tagID'])
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for artist, given in zip(table['artistID'], table['tagID'], strict=True):
        counts[artist][tag[given].strip()] += 1
    texts = []
    for artist in ids:
        if artist not in name:
            raise ValueError(
                f"'{Path(root, 'artists.dat')}' needs every artist of "
                f"'user_artists.dat' (got none of id {artist})"
            )
        top = ', '.join(t for t, _ in counts[artist].most_common(NUM_TAGS))
        texts.append(f'{name[artist]}: {top}' if top else name[artist])
    return texts


def read(
    root: str | os.PathLike[str], file: str, columns: list[str]
) -> pd.DataFrame:
    """Columns of a file; names are in UTF-8, tags are not."""
    return read_columns(
        Path(root, file),
        columns,
        'hetrec2011-lastfm-2k.zip of GroupLens',
        dtype={'name': str, 'tagValue': str},
        encoding='latin-1' if file == 'tags.dat' else 'utf-8',
        encoding_errors='replace',
    )
