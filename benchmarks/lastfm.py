"""The Last.fm data of HetRec 2011 (1,892 listeners, their artists and tags),
from the files that GroupLens hands out.
"""

import csv
import os
from collections import Counter, defaultdict
from pathlib import Path

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

NUM_TAGS, NUM_ARTISTS = 8, 15


def load_lastfm(
    root: str | os.PathLike[str],
    seed: int = 0,
    encoder: Encoder | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> HeteroData:
    """The 5-core of who listened to whom, split 3:1:1 at random. The text of
    an artist is the name and the most frequent tags, the text of a listener
    the artists of the training interactions that are most typical.

    Args:
        root: The folder of artists.dat, tags.dat, user_artists.dat and
            user_taggedartists.dat.
        seed: The seed of the split.
        encoder: What embeds the texts as ``llm_x``, such as the name of a
            sentence-transformers model; without one, there are only texts.
        cache_dir: The folder to keep embeddings in.
    """
    table = read(root, 'user_artists.dat', ['userID', 'artistID'])
    data = from_table(table, user='userID', item='artistID')
    data = SplitInteractions('random', seed=seed)(KCore(5)(data))
    artists = describe_artists(root, data['item'].id)
    data['item'].profile = artists
    listened = purchase_profiles(
        data[EDGE_TYPE].edge_index,
        [''] * data['user'].num_nodes,
        artists,
        NUM_ARTISTS,
    )
    data['user'].profile = [
        'Listener of: ' + text.split(': ', 1)[1] for text in listened
    ]
    if encoder is not None:
        data = AttachProfileEmbeddings(encoder=encoder, cache_dir=cache_dir)(
            data
        )
    return data


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
    path = Path(root, file)
    if not path.exists():
        raise FileNotFoundError(
            f"'{path}' is needed; it is in hetrec2011-lastfm-2k.zip of "
            'GroupLens (got no such file)'
        )
    table = pd.read_csv(
        path,
        sep='\t',
        dtype={'name': str, 'tagValue': str},
        quoting=csv.QUOTE_NONE,  # quotation marks belong to the names
        keep_default_na=False,
        encoding='latin-1' if file == 'tags.dat' else 'utf-8',
        encoding_errors='replace',
    )
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"'{path}' needs the columns {columns} (got {list(table)})"
        )
    return table[columns]
