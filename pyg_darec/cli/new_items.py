import warnings
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.cli.choose_encoder import choose_encoder
from pyg_darec.cli.naming_sep import naming_sep
from pyg_darec.cli.paths import embedding_folders
from pyg_darec.datasets import attach_texts
from pyg_darec.datasets._read_table import read_table
from pyg_darec.datasets._table_checks import check_columns
from pyg_darec.profiles import encode_alike
from pyg_darec.profiles.written_ids import WrittenIds
from pyg_darec.retrieval.nodes import node_ids


class NewItems(NamedTuple):
    r"""Items that are not in the data, and their profile embeddings."""

    ids: list[Any]
    names: list[str]
    llm_x: Tensor | None


def read_new_items(
    table: Path,
    data: HeteroData,
    folder: Path,
    *,
    item_id: str,
    name: str | None,
    text: list[str] | None,
    sep: str | None,
    encoder: str,
    base_url: str | None,
    dim: int | None,
) -> NewItems:
    r"""The items of a table that :obj:`data`, which is in :obj:`folder`, do
    not have, by the encoder of those that they have.
    """
    with naming_sep('--items-sep'):
        rows, source = read_table(table, (item_id,), sep, columns=(item_id,))
        check_columns(rows, [item_id], source)
        known = WrittenIds(list(node_ids(data, 'item')))
        found = rows[item_id].dropna().drop_duplicates().tolist()
        new = HeteroData()
        new['item'].id = [value for value in found if not known.places(value)]
        if not new['item'].id:
            raise ValueError(
                f"'{table}' needs items that are not in the data; leave out "
                f'--new-items to recommend those that are (got {len(found)} '
                'known ones)'
            )
        # From the file once more, which errors name.
        attach_texts(new, table, item_id, name, text, missing='', sep=sep)
    item = new['item']
    kept = [n for n, value in enumerate(item.text) if value]
    if not kept:
        raise ValueError(
            f"'{table}' needs texts of new items, by which they are "
            f'recommended (got none for {len(item.id)} of them)'
        )
    if len(kept) < len(item.id):
        warnings.warn(
            f'{len(item.id) - len(kept)} of {len(item.id)} new items in '
            f"'{table}' have no text and are left out"
        )
    ids, names, texts = (
        [values[n] for n in kept] for values in (item.id, item.name, item.text)
    )
    chosen = choose_encoder(encoder, base_url, dim, data)
    store = embedding_folders(folder)['item']
    return NewItems(ids, names, encode_alike(store, texts, chosen, ids))
