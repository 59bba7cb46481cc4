import os
from collections.abc import Mapping, Sequence

from torch_geometric.data import HeteroData

from pyg_darec.graph import EDGE_TYPE, BipartiteGraph, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.profiles.profile_store import Answer, ProfileStore
from pyg_darec.profiles.prompt import Id
from pyg_darec.profiles.training_pairs import node_ids
from pyg_darec.profiles.written_ids import match_written


def attach_profiles(
    data: HeteroData,
    stores: Mapping[str, ProfileStore | str | os.PathLike[str]],
    missing: str | None = None,
    edge_type: EdgeType = EDGE_TYPE,
) -> HeteroData:
    r"""Puts generated profiles on the nodes, in place: the list of texts
    :obj:`data[node_type].profile`, by :obj:`data[node_type].id` (by index
    where nodes have no ids). Where an id is not in the store, one that is
    written alike will do, :obj:`7` and :obj:`'7'`.

    .. code-block:: python

        attach_profiles(data, {'item': 'profiles/item.jsonl'})

    Args:
        data (HeteroData): The data.
        stores (dict): By node type, the store or its file.
        missing (str, optional): The text of nodes without a profile, or
            whose profile is of another split than those of others;
            :obj:`''` for none. If :obj:`None`, all need one.
            (default: :obj:`None`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)

    Returns:
        :obj:`data`.

    Raises:
        ValueError: If a node has no profile, or a profile was written from
            training interactions that are not those of :obj:`data`, and may
            know held-out ones.
    """
    graph = BipartiteGraph.from_data(data, edge_type)
    split = hash_split(graph)
    sizes = {edge_type[0]: graph.num_users, edge_type[2]: graph.num_items}
    texts, is_made = {}, {}
    for node_type, store in stores.items():
        if node_type not in sizes:
            raise ValueError(
                f"'stores' needs the node types of {edge_type} for keys "
                f'(got {node_type!r})'
            )
        ids = node_ids(data, node_type, sizes[node_type])
        if not isinstance(store, ProfileStore):
            store = ProfileStore(store, read_only=True)
        current = list(store.current().values())
        places = match_written([a.id for a in current], ids)
        answers = [None if n < 0 else current[n] for n in places]
        if missing is not None:
            answers = _of_split(answers, split)
        _check_split(answers, split, store)
        found = [None if a is None else a.profile for a in answers]
        if missing is None and None in found:
            raise _no_profile(ids, found, answers, store, node_type)
        texts[node_type] = [missing if t is None else t for t in found]
        is_made[node_type] = any(a and a.split is not None for a in answers)
    for node_type, profile in texts.items():
        data[node_type].profile = profile
        if is_made[node_type]:
            data[node_type][PROFILE_SPLIT] = split
    return data


def _of_split(
    answers: Sequence[Answer | None], split: str
) -> list[Answer | None]:
    """Without those of another split, if the prompts of this data were asked:
    they had nothing to ask about such nodes.
    """
    fitting = [
        a if a is None or a.split in (None, split) else None for a in answers
    ]
    return fitting if any(fitting) else list(answers)


def _check_split(
    answers: Sequence[Answer | None], split: str, store: ProfileStore
) -> None:
    for answer in answers:
        if answer is None or answer.profile is None:
            continue  # nothing was written, so that nothing tells
        if answer.split not in (None, split):
            raise ValueError(
                f"The profile of id {answer.id!r} in '{store.path}' was "
                'written from other training interactions and may know '
                'held-out ones; generate profiles with the prompts of this '
                'data, which asks only what has changed, and with reviews if '
                'there were any; delete the file if they have nothing to ask '
                f'(got split {answer.split}, not {split})'
            )


def _no_profile(
    ids: Sequence[Id],
    found: Sequence[str | None],
    answers: Sequence[Answer | None],
    store: ProfileStore,
    node_type: str,
) -> ValueError:
    n = found.index(None)
    answer = answers[n]
    reason = 'it was not asked for' if answer is None else answer.error
    return ValueError(
        f"'{store.path}' lacks the profiles of {found.count(None)} of "
        f"{len(ids)} nodes of type '{node_type}', first id {ids[n]!r}; "
        "generate them, with 'retry_failed=True' if it was tried, or pass a "
        f"text for such nodes as 'missing' (got {reason})"
    )
