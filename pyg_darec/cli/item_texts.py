from collections.abc import Collection
from pathlib import Path

from torch_geometric.data import HeteroData


def check_texts(
    data: Path, graph: HeteroData, written: Collection[str] = ()
) -> None:
    r"""Raises a :class:`ValueError` if the items of a data folder have no
    texts, nor profiles among the node types in :obj:`written`.
    """
    has_texts = any(key in graph['item'] for key in ('text', 'profile'))
    if not has_texts and 'item' not in written:
        raise ValueError(
            f"The items of '{data}' have no texts; run 'prepare' with a table "
            'of them as --items (got none)'
        )
