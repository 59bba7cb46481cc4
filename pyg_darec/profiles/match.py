"""Bringing rows of embeddings into the order of the nodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def match_ids(ids: Sequence[Any], nodes: Sequence[Any], where: str) -> Tensor:
    r"""The row of each node: :obj:`ids[out[n]] == nodes[n]`.

    Args:
        ids (list): The id of each row of embeddings.
        nodes (list): The id of each node.
        where (str): What holds the rows, for error messages.

    Raises:
        ValueError: If an id is missing, extra, not an integer or string, or
            occurs twice on either side.
    """
    row_of = _rows(ids, where)
    node_of = _rows(nodes, f'The graph that {where} is attached to')
    some = list(ids[:3])
    missing = [node for node in nodes if node not in row_of]
    if missing:
        written = set(map(str, ids))
        is_there = any(str(node) in written for node in missing)
        advice = (
            'write ids as the nodes do' if is_there else 'add their embeddings'
        )
        raise ValueError(
            f'{where} lacks {len(missing)} of {len(nodes)} nodes, first id '
            f'{missing[0]!r}; {advice} (got ids like {some})'
        )
    extra = [i for i in ids if i not in node_of]
    if extra:
        raise ValueError(
            f'{where} has {len(extra)} of {len(ids)} embeddings for unknown '
            f'nodes, first id {extra[0]!r}, row {row_of[extra[0]]}; remove '
            'them, or attach the embeddings before nodes are filtered '
            f'(got ids like {some} for nodes like {list(nodes[:3])})'
        )
    return torch.tensor([row_of[n] for n in nodes], dtype=torch.long)


def _rows(ids: Sequence[Any], where: str) -> dict[Any, int]:
    rows: dict[Any, int] = {}
    for row, value in enumerate(ids):
        if isinstance(value, bool) or not isinstance(
            value, int | str | np.integer
        ):
            raise ValueError(
                f'{where} needs ids that are integers or strings; the one of '
                f'row {row} is not (got {value!r})'
            )
        add_row(rows, value, row, where)
    return rows


def add_row(rows: dict[Any, int], key: Any, row: int, where: str) -> None:
    r"""Adds an id to those of earlier rows, or raises a :class:`ValueError` if
    it is one of them.
    """
    if rows.setdefault(key, row) != row:
        raise ValueError(
            f'{where} has id {key!r:.80} twice; keep one of them (got rows '
            f'{rows[key]} and {row})'
        )
