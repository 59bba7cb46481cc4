"""Bringing rows of embeddings into the order of the nodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_darec.profiles.written_ids import match_written


def match_ids(ids: Sequence[Any], nodes: Sequence[Any], where: str) -> Tensor:
    r"""The row of each node: :obj:`ids[out[n]] == nodes[n]`, or else an id
    that is written alike, :obj:`7` and :obj:`'7'`.

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
    if row_of.keys() == node_of.keys():
        out = [row_of[node] for node in nodes]
    else:
        out = match_written(ids, nodes)
    missing = [node for node, row in zip(nodes, out, strict=True) if row < 0]
    if missing:
        raise ValueError(
            f'{where} lacks {len(missing)} of {len(nodes)} nodes, first id '
            f'{missing[0]!r}; add their embeddings (got ids like {some})'
        )
    extra = [ids[row] for row in sorted(set(row_of.values()) - set(out))]
    if extra:
        raise ValueError(
            f'{where} has {len(extra)} of {len(ids)} embeddings for unknown '
            f'nodes, first id {extra[0]!r}, row {row_of[extra[0]]}; remove '
            'them, or attach the embeddings before nodes are filtered '
            f'(got ids like {some} for nodes like {list(nodes[:3])})'
        )
    return torch.tensor(out, dtype=torch.long)


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
