import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.checks import as_seed, check_count, check_embeddings
from pyg_darec.graph import EDGE_TYPE, BipartiteGraph, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.leakage_audit import Answer, LeakageAudit
from pyg_darec.profiles.name_mentions import Mention, find_mentions
from pyg_darec.profiles.profile_ranking import MIN_CONTROLS, rank_by_profiles
from pyg_darec.profiles.read_store import read_store
from pyg_darec.profiles.training_pairs import node_ids

Source: TypeAlias = str | os.PathLike[str] | EmbeddingStore | Tensor


def audit_profiles(
    data: HeteroData,
    embeddings: Mapping[str, Source] | None = None,
    names: Sequence[str] | None = None,
    *,
    split: str = 'test',
    num_pairs: int = 5000,
    num_controls: int = 50,
    seed: int = 0,
    edge_type: EdgeType = EDGE_TYPE,
) -> LeakageAudit:
    r"""Looks for signs that profiles know what is held out.

    .. code-block:: python

        stores = {'user': 'embeddings/user', 'item': 'embeddings/item'}
        print(audit_profiles(data, stores, names=titles))

    * **Origin.** Whether the manifest of a store, or the
      :obj:`profile_split` of nodes with :obj:`llm_x` of their own, names the
      training interactions of :obj:`data`.
    * **Ranking.** Whether a ranking by profile embeddings alone favours
      held-out items over equally popular ones by more than the item profiles
      of the training items explain, as it does for training items, which
      profiles were written from. With *share* 0, profiles know nothing of
      held-out items; with 1, they know as much of them as of training items.
      A small share, even one with a small p-value, is no leakage: texts
      describe taste better than a mean of items does. It is suspicious above
      0.25, with its whole interval; a leak of a few interactions is not
      noticed here. Texts that were not written from interactions at all, but
      from what users say of themselves, may have a share near 1 as well.
    * **Names.** Which user texts hold the name of an item that is held out
      for this user, and that no training item of the user holds.

    None of these can prove that there is no leakage.

    Args:
        data (HeteroData): The split interactions; the profiles of users, and
            of items if any, in :obj:`profile`.
        embeddings (dict, optional): For :obj:`'user'` and :obj:`'item'`, by
            the names of the node types, a store, its folder or a tensor. If
            :obj:`None`, the :obj:`llm_x` of the nodes.
            (default: :obj:`None`)
        names (list, optional): The name of each item, to be looked for in
            user texts. (default: :obj:`None`)
        split (str, optional): The part that is ranked, :obj:`'test'` or
            :obj:`'val'`; names are looked for in both.
            (default: :obj:`'test'`)
        num_pairs (int, optional): The most held-out pairs to rank.
            (default: :obj:`5000`)
        num_controls (int, optional): The most items to rank each against.
            (default: :obj:`50`)
        seed (int, optional): The seed of the samples. (default: :obj:`0`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)

    Returns:
        A :class:`~pyg_darec.profiles.LeakageAudit`.

    Raises:
        TypeError: If :obj:`data` is no :class:`HeteroData`.
        ValueError: If there are no held-out interactions, or embeddings or
            names are not one per node, a store is of other nodes, or there
            are too few pairs or controls to measure anything.
    """
    if not isinstance(data, HeteroData):
        raise TypeError(
            f"'data' needs to be a 'HeteroData' (got '{type(data).__name__}')"
        )
    check_count(num_pairs=num_pairs, num_controls=num_controls)
    for name, value, least in (
        ('num_pairs', num_pairs, 2),
        ('num_controls', num_controls, MIN_CONTROLS),
    ):
        if value < least:
            raise ValueError(
                f"'{name}' needs to be at least {least}, as nothing can be "
                f'measured with fewer (got {value})'
            )
    seed = as_seed(seed)
    graph = BipartiteGraph.from_data(data, edge_type)
    if split not in graph.edge_label_index:
        raise ValueError(
            f"'data' has no '{split}_edge_label_index'; split it first, with "
            f"'SplitInteractions' (got {sorted(graph.edge_label_index)})"
        )
    kinds = edge_type[0], edge_type[2]
    sizes = graph.num_users, graph.num_items
    if unknown := sorted(set(embeddings or ()) - set(kinds)):
        raise ValueError(
            f"'embeddings' needs the node types {kinds} for keys (got "
            f'{unknown})'
        )
    expected = hash_split(graph)
    origin: dict[str, Answer] = {}
    x: dict[str, Tensor] = {}
    for kind, size in zip(kinds, sizes, strict=True):
        node, made_from = data[kind], None
        source = (embeddings or {}).get(kind)
        if source is None:
            source, made_from = node.get('llm_x'), node.get(PROFILE_SPLIT)
        if isinstance(source, str | os.PathLike):
            source = EmbeddingStore(source)
        if isinstance(source, EmbeddingStore):
            made_from = source.manifest.split
            where = f"'{source.folder}' of node type '{kind}'"
            # Ids need to differ only where rows are matched by them.
            has_ids = source.manifest.ids is not None and 'id' in node
            ids = node_ids(data, kind, size) if has_ids else None
            source = read_store(source, where, size, ids)
        origin[kind] = 'yes' if made_from == expected else 'no'
        if made_from is None:
            origin[kind] = 'unknown'
        if source is not None:
            check_embeddings(kind, source, size)
            x[kind] = source.detach().cpu()
    ranking = None
    if len(x) == 2:
        pair = x[kinds[0]], x[kinds[1]]
        _check_widths(*pair)
        ranking = rank_by_profiles(
            graph, *pair, split, num_pairs, num_controls, seed
        )
    mentions, chance = _mentions(data, graph, names, kinds)
    return LeakageAudit(origin, ranking, mentions, chance)


def _check_widths(user: Tensor, item: Tensor) -> None:
    if user.size(1) != item.size(1):
        raise ValueError(
            'The profile embeddings of users and items need one width; embed '
            f'them with the same model (got {user.size(1)} and {item.size(1)})'
        )


def _mentions(
    data: HeteroData,
    graph: BipartiteGraph,
    names: Sequence[str] | None,
    kinds: tuple[str, str],
) -> tuple[list[Mention] | None, float]:
    texts = data[kinds[0]].get('profile')
    if names is None or texts is None:
        return None, 0.0
    names = list(names)  # a series is indexed by its labels
    for name, value, size in (
        ('names', names, graph.num_items),
        (f"data['{kinds[0]}'].profile", texts, graph.num_users),
    ):
        if len(value) != size:
            raise ValueError(
                f'{name} needs one text per node (got {len(value)} for {size})'
            )
    held_out = torch.cat(list(graph.edge_label_index.values()), dim=1)
    mentions, chance = find_mentions(
        names,
        texts,
        _by_user(graph.edge_index, graph.num_users),
        _by_user(held_out, graph.num_users),
        data[kinds[1]].get('profile'),
    )
    ids = [_ids(data, kind) for kind in kinds]
    named = [
        m._replace(user=ids[0](m.user), item=ids[1](m.item)) for m in mentions
    ]
    return named, chance


def _by_user(index: Tensor, num_users: int) -> list[list[int]]:
    out: list[list[int]] = [[] for _ in range(num_users)]
    for user, item in index.t().tolist():
        out[user].append(item)
    return out


def _ids(data: HeteroData, kind: str) -> Any:
    ids = data[kind].get('id')
    ids = ids.tolist() if isinstance(ids, Tensor) else ids
    return (lambda row: row) if ids is None else ids.__getitem__
