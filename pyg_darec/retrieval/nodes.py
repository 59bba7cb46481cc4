"""Nodes by index, by original id and by name."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_choice
from pyg_darec.graph import KINDS, BipartiteGraph, Kind
from pyg_darec.profiles.written_ids import WrittenIds

Indices: TypeAlias = Sequence[int] | Tensor


def find_nodes(
    data: HeteroData | BipartiteGraph,
    ids: Sequence[Any] | Tensor,
    kind: Kind = 'user',
) -> Tensor:
    r"""The indices of nodes that are given by their original ids, as
    :func:`~pyg_darec.datasets.from_table` keeps them.

    .. code-block:: python

        users = find_nodes(data, ['A17', 'B02'])
        item, score = recommend(model, data, users)

    Ids match if they are written alike, :obj:`7` and :obj:`'7'`, or a number
    of a column with gaps, :obj:`7.0`; if several do, it is the one of the same
    type.

    Args:
        data (torch_geometric.data.HeteroData or BipartiteGraph): The graph.
            Where it has no ids, the indices are the ids.
        ids (Sequence or torch.Tensor): The ids.
        kind (str, optional): Whose ids, :obj:`'user'` or :obj:`'item'`.
            (default: :obj:`'user'`)

    Raises:
        ValueError: If an id is unknown or belongs to several nodes, naming
            the first, or :obj:`ids` is a single text.
    """
    if isinstance(ids, str):  # its letters may be ids
        raise ValueError(f"'ids' needs to be a list of ids (got {ids!r})")
    values = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    known = node_ids(data, kind)
    places = list(map(WrittenIds(known).places, values))
    bad = [n for n, found in enumerate(places) if len(found) != 1]
    if bad:
        first = places[bad[0]]
        what = f'is the id of {len(first)} {kind}s' if first else 'is none'
        raise ValueError(
            f"'ids' needs to name one {kind} of the data each; {len(bad)} of "
            f'{len(values)} do not, and the first of these {what} (got '
            f'{values[bad[0]]!r} for ids like {list(known[:3])})'
        )
    return torch.tensor([found[0] for found in places], dtype=torch.long)


def node_ids(data: HeteroData | BipartiteGraph, kind: Kind) -> Sequence[Any]:
    r"""The original ids, or the indices where there are none."""
    ids = node_values(data, kind, 'id')
    return range(_count(as_graph(data), kind)) if ids is None else ids


def node_values(
    data: HeteroData | BipartiteGraph, kind: Kind, attr: str
) -> list[Any] | None:
    r"""One value per node of an attribute, or :obj:`None` without it.

    Raises:
        ValueError: If it is not one value per node.
    """
    check_choice('kind', kind, KINDS)
    graph = as_graph(data)
    src, _, dst = graph.edge_type
    node_type = src if kind == 'user' else dst
    # Not the source of a graph that was made earlier: it need not know of
    # names that were added since.
    source = data if isinstance(data, HeteroData) else graph.source
    values: Any = None if source is None else source[node_type].get(attr)
    if values is None:
        return None
    if isinstance(values, Tensor | np.ndarray):
        values = values.tolist()
    num = _count(graph, kind)
    if not isinstance(values, list | tuple) or len(values) != num:
        got = len(values) if isinstance(values, list | tuple) else type(values)
        raise ValueError(
            f"data['{node_type}'].{attr} needs one value per node, {num} "
            f'(got {got})'
        )
    return list(values)


def _count(graph: BipartiteGraph, kind: Kind) -> int:
    return graph.num_users if kind == 'user' else graph.num_items


def as_index(values: Indices, size: int, name: str, kind: str) -> Tensor:
    r"""Checked indices of nodes.

    Args:
        values (Sequence[int] or torch.Tensor): The indices.
        size (int): The number of nodes.
        name (str): The argument, for error messages.
        kind (str): What the nodes are, for error messages.

    Raises:
        ValueError: If they are no vector of integers from 0 to
            :obj:`size - 1`.
    """
    index = to_tensor(values)
    if index.dim() == 1 and index.numel() == 0:
        return index.long()
    integral = not (index.is_floating_point() or index.is_complex())
    if index.dim() != 1 or not integral or index.dtype == torch.bool:
        raise ValueError(
            f"'{name}' needs to be a list or vector of {kind} indices; "
            f"'find_nodes' finds them by id (got {values!r:.200})"
        )
    index = index.long()  # torch compares no unsigned ones
    unknown = index[(index < 0) | (index >= size)]
    if unknown.numel() > 0:
        raise ValueError(
            f"'{name}' needs to name {kind}s of the data, 0 to {size - 1} "
            f'(got {int(unknown[0])})'
        )
    return index


def to_tensor(values: Any) -> Tensor:
    r"""A tensor of what is given as indices; one without a dimension of what
    cannot be any.
    """
    if hasattr(values, '__array__') and not isinstance(values, Tensor):
        values = np.asarray(values)  # torch asks a series for its label 0
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return torch.empty(())
