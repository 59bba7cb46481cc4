import copy
import os
from collections.abc import Mapping
from itertools import islice
from typing import Any

from torch_geometric.data import HeteroData

from pyg_darec.checks import check_count
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT
from pyg_darec.profiles.attach_profiles import attach_profiles
from pyg_darec.profiles.cell import is_missing, to_text
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.profile_store import ProfileStore
from pyg_darec.profiles.training_pairs import TrainingPairs


def complete_profiles(
    data: HeteroData,
    stores: Mapping[str, ProfileStore | str | os.PathLike[str]] | None = None,
    max_items: int = 25,
    missing: str = '',
    edge_type: EdgeType = EDGE_TYPE,
    seed: int = 0,
    time_attr: str = 'time',
) -> HeteroData:
    r"""Gives every node a profile text, in place: the generated one where
    there is one; otherwise its own :obj:`text`; and a user without one the
    names of the items of the user's **training interactions**, newest first.
    Split them before: :class:`~pyg_darec.transforms.SplitInteractions` refuses
    data whose profiles tell what it would hold out, by their
    :obj:`profile_split`.

    Where a node type has no :obj:`text`, the present :obj:`profile` is its own
    text, so that what was written by hand or by
    :func:`~pyg_darec.profiles.attach_profiles` stays and gaps in it are
    filled; delete it to have it made anew. It is kept as :obj:`text` where
    generated profiles take its place. Profiles of users that were made
    from other interactions are replaced; a :obj:`text` never is.

    .. code-block:: python

        attach_texts(data, 'products.csv', id='product')
        complete_profiles(data)
        complete_profiles(data, {'item': 'profiles/item.jsonl'})

    Args:
        data (HeteroData): The split data, with a :obj:`text` for each item,
            :obj:`''` for no profile, and, if items have names, their
            :obj:`name`, which counts for none where it is the id; see
            :func:`~pyg_darec.datasets.attach_texts`.
        stores (dict, optional): By node type, the store of generated profiles
            or its file. (default: :obj:`None`)
        max_items (int, optional): The most items that the text of a user
            names; 25 names of products fit into the 256 word pieces that
            small sentence-transformers models read. (default: :obj:`25`)
        missing (str, optional): The text of users of whom nothing is known;
            :obj:`''` for no profile. (default: :obj:`''`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
        seed (int, optional): The seed of the order of interactions without or
            of the same time. (default: :obj:`0`)
        time_attr (str, optional): The attribute that holds the time of each
            interaction. (default: :obj:`'time'`)

    Returns:
        :obj:`data`.

    Raises:
        ValueError: If the text of an item is missing (:obj:`None` or NaN),
            texts or names are not one per node, times not one per
            interaction, or a store was made from other training interactions.
    """
    check_count(max_items=max_items)
    user, _, item = edge_type
    pairs = TrainingPairs(data, edge_type, seed, time_attr)
    num_users, num_items = len(pairs.user_ids), len(pairs.item_ids)
    attr = _own_attr(data, item)
    texts = _values(data, item, attr, num_items)
    names = texts
    if 'name' in data[item]:
        given = _values(data, item, 'name', num_items)
        # An item without a name is called by its id, which says nothing.
        names = [
            name if name and name != str(key) else text
            for name, key, text in zip(
                given, pairs.item_ids, texts, strict=True
            )
        ]
    profiles = {item: texts, user: [''] * num_users}
    node = data[user]
    is_current = node.get(PROFILE_SPLIT, pairs.split) == pairs.split
    if 'text' in node or ('profile' in node and is_current):
        profiles[user] = _values(data, user, _own_attr(data, user), num_users)
    # On a copy, since a store may be refused.
    generated = attach_profiles(
        copy.copy(data), stores or {}, missing='', edge_type=edge_type
    )
    for node_type in profiles.keys() - set(stores or ()):
        # Own texts take the place of what was made from interactions, but not
        # of embeddings that were.
        if 'text' in data[node_type] and 'llm_x' not in data[node_type]:
            generated[node_type].pop(PROFILE_SPLIT, None)
    for node_type in stores or {}:
        pair = zip(
            generated[node_type].profile, profiles[node_type], strict=True
        )
        profiles[node_type] = [written or own for written, own in pair]
    lacking = [
        row
        for row, value in enumerate(data[item][attr])
        if is_missing(value) and not profiles[item][row]
    ]
    if lacking:
        raise ValueError(
            f"data['{item}'].{attr} needs a text for each of {num_items} "
            "items, '' for no profile; write one, or pass 'missing' to "
            f"'attach_texts' (got none in {len(lacking)} rows, the first of "
            f'them {lacking[0]})'
        )
    if not all(profiles[user]):
        named = (
            filter(None, (clean_text(names[n]) for n in items))
            for items in pairs.items_of_users()
        )
        profiles[user] = [
            text or ', '.join(islice(some, max_items)) or missing
            for text, some in zip(profiles[user], named, strict=True)
        ]
        generated[user][PROFILE_SPLIT] = pairs.split
    for node_type in stores or {}:
        # What was written takes the place of own texts, which are not to be
        # lost.
        node = data[node_type]
        is_own = 'text' not in node and PROFILE_SPLIT not in node
        if is_own and 'profile' in node:
            node.text = node.profile
    for node_type, profile in profiles.items():
        data[node_type].profile = profile
        made_from = generated[node_type].get(PROFILE_SPLIT)
        if made_from is not None:
            data[node_type][PROFILE_SPLIT] = made_from
        else:
            data[node_type].pop(PROFILE_SPLIT, None)
    return data


def _own_attr(data: HeteroData, node_type: str) -> str:
    """What holds the own texts of nodes: the profile if there are none."""
    attrs = (a for a in ('text', 'profile') if a in data[node_type])
    return next(attrs, 'text')


def _values(
    data: HeteroData, node_type: str, attr: str, size: int
) -> list[str]:
    values: Any = data[node_type].get(attr)
    if not isinstance(values, list | tuple) or len(values) != size:
        got = len(values) if isinstance(values, list | tuple) else type(values)
        raise ValueError(
            f"data['{node_type}'].{attr} needs a list of {size} texts, one "
            f"per node; attach a table with 'attach_texts' (got {got})"
        )
    texts = map(to_text, values)
    return [text if text.strip() else '' for text in texts]
