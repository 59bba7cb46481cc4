import copy
import os
from collections.abc import Mapping
from typing import Any

from torch_geometric.data import HeteroData

from pyg_darec.checks import check_count
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.profiles.attach_profiles import attach_profiles
from pyg_darec.profiles.cell import to_text
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.hash_split import PROFILE_SPLIT
from pyg_darec.profiles.profile_store import ProfileStore
from pyg_darec.profiles.training_pairs import TrainingPairs


def complete_profiles(
    data: HeteroData,
    stores: Mapping[str, ProfileStore | str | os.PathLike[str]] | None = None,
    max_items: int = 25,
    unknown: str = 'Nothing is known yet.',
    edge_type: EdgeType = EDGE_TYPE,
    seed: int = 0,
) -> HeteroData:
    r"""Gives every node a profile text, in place: the generated one where
    there is one; otherwise, an item its :obj:`text`, and a user the names of
    the items of the user's **training interactions**, newest first. Split
    them before: :class:`~pyg_darec.transforms.SplitInteractions` refuses data
    whose profiles tell what it would hold out, by their :obj:`profile_split`.

    .. code-block:: python

        attach_texts(data, 'products.csv', id='product')
        complete_profiles(data)
        complete_profiles(data, {'item': 'profiles/item.jsonl'})

    Args:
        data (HeteroData): The split data, with a :obj:`text` for each item
            (without any, the present :obj:`profile`) and, if items have names,
            their :obj:`name`; see
            :func:`~pyg_darec.datasets.attach_texts`.
        stores (dict, optional): By node type, the store of generated profiles
            or its file. (default: :obj:`None`)
        max_items (int, optional): The most items that the text of a user
            names; 25 names of products fit into the 256 word pieces that
            small sentence-transformers models read. (default: :obj:`25`)
        unknown (str, optional): The text of users without a training
            interaction. (default: :obj:`'Nothing is known yet.'`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
        seed (int, optional): The seed of the order of interactions without or
            of the same time. (default: :obj:`0`)

    Returns:
        :obj:`data`.

    Raises:
        ValueError: If an item has no text, texts or names are not one per
            item, or a store was made from other training interactions.
    """
    check_count(max_items=max_items)
    user, _, item = edge_type
    pairs = TrainingPairs(data, edge_type, seed)
    size = len(pairs.item_ids)
    attr = next((a for a in ('text', 'profile') if a in data[item]), 'text')
    texts = _values(data, item, attr, size)
    names = texts
    if 'name' in data[item]:
        pair = zip(_values(data, item, 'name', size), texts, strict=True)
        names = [name or text for name, text in pair]
    chosen = [
        ', '.join(clean_text(names[n]) for n in items[:max_items])
        for items in pairs.items_of_users()
    ]
    defaults = {item: texts, user: [text or unknown for text in chosen]}
    # On a copy, since a store may be refused.
    generated = attach_profiles(
        copy.copy(data), stores or {}, missing='', edge_type=edge_type
    )
    for node_type, profile in defaults.items():
        if node_type in (stores or {}):
            written = generated[node_type].profile
            profile = [a or b for a, b in zip(written, profile, strict=True)]
        defaults[node_type] = profile
    empty = [row for row, text in enumerate(defaults[item]) if not text.strip()]
    if empty:
        raise ValueError(
            f"data['{item}'].{attr} needs a text for each of {size} items; "
            "write one, or pass 'missing' to 'attach_texts' (got none in "
            f'{len(empty)} rows, the first of them {empty[0]})'
        )
    generated[user][PROFILE_SPLIT] = pairs.split
    for node_type, profile in defaults.items():
        data[node_type].profile = profile
        if PROFILE_SPLIT in generated[node_type]:
            data[node_type][PROFILE_SPLIT] = generated[node_type][PROFILE_SPLIT]
    return data


def _values(
    data: HeteroData, node_type: str, attr: str, size: int
) -> list[str]:
    values: Any = data[node_type].get(attr)
    if not isinstance(values, list | tuple) or len(values) != size:
        got = len(values) if isinstance(values, list | tuple) else type(values)
        raise ValueError(
            f"data['{node_type}'].{attr} needs a list of {size} texts, one "
            f"per item; attach a table with 'attach_texts' (got {got})"
        )
    return [to_text(value) for value in values]
