"""Reading a store for the nodes of one type, if it belongs to them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyg_darec.profiles.chain_hash import hash_ids, hash_texts
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.match import match_ids


def read_store(
    store: EmbeddingStore,
    where: str,
    num_nodes: int,
    ids: Sequence[Any] | None = None,
    texts: Sequence[str] | None = None,
    lazy: bool = False,
) -> Tensor:
    r"""The row of each node.

    Args:
        store (EmbeddingStore): The store.
        where (str): What error messages call it.
        num_nodes (int): The number of nodes.
        ids (list, optional): The id of each node, which a store with ids
            needs.
        texts (list, optional): The text of each node, which need to be those
            that were embedded.
        lazy (bool, optional): Whether rows stay in the file until they are
            used. (default: :obj:`False`)

    Raises:
        ValueError: If the store is of other nodes or texts or has ids and
            the nodes have none, is damaged, or has another order and is to be
            read lazily.
    """
    # In another order only where the hashes of ids differ.
    order: Tensor | None = None
    expected = store.manifest.ids
    if expected is not None:
        if ids is None:
            raise ValueError(
                f'{where} is matched by id, and the nodes have none; give them '
                "the ids that it was encoded with as their 'id' (got None)"
            )
        if not _same(ids, expected):
            order = match_ids(store.ids or [], ids, where)
            if torch.equal(order, torch.arange(len(order))):
                order = None  # they are but of another type
    if len(store) != num_nodes:
        raise ValueError(
            f'{where} needs one row per node; without ids, rows are matched '
            f'by position (got {len(store)} rows for {num_nodes} nodes)'
        )
    if texts is not None:
        _check_texts(store, where, texts, order)
    if order is None:
        return store.tensor(lazy)
    if lazy:
        row = int((order != torch.arange(len(order))).int().argmax())
        raise ValueError(
            f'{where} can only be read lazily in the order of the nodes; '
            'encode them in this order, or pass lazy=False (got another node '
            f'in row {row})'
        )
    return store.tensor()[order]


def check_split(store: EmbeddingStore, where: str, split: str) -> None:
    r"""Raises a :class:`ValueError` if the texts of a store were written from
    training interactions other than those with the hash :obj:`split`.
    """
    made_from = store.manifest.split
    if made_from is not None and made_from != split:
        raise ValueError(
            f'{where} was made from other training interactions than those '
            'of the graph, and may know what is held out; attach it after '
            'the split that it was made from, or write and encode the texts '
            f'again (got split {made_from[:12]}, not {split[:12]})'
        )


def _same(ids: Sequence[Any], expected: str) -> bool:
    try:
        return hash_ids(ids) == expected
    except TypeError:
        return False  # 'match_ids' says which


def _check_texts(
    store: EmbeddingStore,
    where: str,
    texts: Sequence[str],
    order: Tensor | None,
) -> None:
    if order is not None:
        texts = [texts[node] for node in order.argsort().tolist()]
    if hash_texts(texts) != store.manifest.texts:
        raise ValueError(
            f'{where} was made from other texts than those of the nodes; '
            'encode them again, or name the attribute that holds the right '
            "ones with 'text_attr' (got other texts)"
        )
