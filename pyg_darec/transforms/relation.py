"""What several transforms ask of a graph and of one of its relations."""

import inspect
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.count_nodes import count_nodes
from pyg_darec.graph import EdgeType
from pyg_darec.held_out import LABEL_INDEX, held_out_keys


def check_hetero(data: Any, transform: str) -> None:
    if not isinstance(data, HeteroData):
        raise TypeError(
            f"'{transform}' needs a 'HeteroData' (got '{type(data).__name__}')"
        )


def check_relation(data: HeteroData, edge_type: EdgeType) -> tuple[int, int]:
    r"""The number of nodes on either side of a relation.

    Raises:
        ValueError: If the relation does not exist or has no valid
            :obj:`edge_index`.
    """
    if edge_type not in data.edge_types:
        raise ValueError(
            f"'data' has no relation {edge_type} (got {data.edge_types})"
        )
    index = data[edge_type].get('edge_index')
    shaped = isinstance(index, Tensor) and index.dim() == 2
    if not shaped or index.size(0) != 2 or index.is_floating_point():
        got = (
            f'{index.dtype} of shape {tuple(index.shape)}' if shaped else index
        )
        raise ValueError(
            f"'edge_index' of {edge_type} needs to be an integer tensor of "
            f'shape (2, E) (got {got})'
        )
    sizes = count_nodes(data, edge_type[0]), count_nodes(data, edge_type[2])
    for row, size in enumerate(sizes):
        bad = ((index[row] < 0) | (index[row] >= size)).nonzero()
        if bad.numel() > 0:
            position = int(bad[0])
            raise ValueError(
                f'Interaction {position} of {edge_type} names a '
                f"'{edge_type[2 * row]}' that does not exist: there are "
                f'{size} (got index {int(index[row, position])})'
            )
    return sizes


def check_two_types(edge_type: EdgeType, transform: str) -> None:
    if edge_type[0] == edge_type[2]:
        raise ValueError(
            f"'{transform}' numbers the nodes of either side anew and needs "
            f'two node types (got {edge_type})'
        )


def check_no_matrix(data: HeteroData, edge_type: EdgeType) -> None:
    r"""Raises a :class:`ValueError` if a relation is, or is besides, a sparse
    matrix, in which no transform here looks for anything.
    """
    if 'adj_t' in data[edge_type]:
        raise ValueError(
            f"{edge_type} would stay as it is in its 'adj_t'; apply "
            "'ToSparseTensor' after this transform, or remove the matrix"
        )


def list_options(transform: Any, cls: type, names: Iterable[str]) -> list[str]:
    r"""The options of a transform that are not the defaults of its class,
    or of the one that it is derived from, as a :obj:`repr` lists them: PyG
    tells by it whether a cached data set was made with another one.
    """
    defaults = inspect.signature(cls).parameters
    values = {name: getattr(transform, name) for name in names}
    return [
        f'{name}={value!r}'
        for name, value in values.items()
        if value != defaults[name].default
    ]


def own_attrs(data: HeteroData, edge_type: EdgeType) -> list[str]:
    r"""The attributes with one value per interaction, :obj:`edge_index`
    included, and none of held-out pairs, of which there may be as many.
    """
    attrs: list[str] = data[edge_type].edge_attrs()
    labels = LABEL_INDEX, 'edge_label'
    others = set()
    for held_out in held_out_keys(data, edge_type):
        # 'test_time' is that of held-out pairs where there is a 'time'.
        prefix = held_out.removesuffix(LABEL_INDEX)
        names = [*labels, *attrs] if prefix else labels
        others |= {prefix + name for name in names}
    return [key for key in attrs if key not in others]


def check_other_relations(
    data: HeteroData, edge_type: EdgeType, held_out: Tensor, num_items: int
) -> None:
    r"""Raises a :class:`ValueError` if a relation in the other direction holds
    pairs that are held out, as numbers :math:`u I + i`, and warns if another
    one in the same direction does.
    """
    for relation in data.edge_types:
        if set(relation[::2]) == set(edge_type[::2]):
            check_no_matrix(data, relation)
    indices = data.collect('edge_index', allow_empty=True)
    for relation, index in indices.items():
        if relation == edge_type:
            continue
        if is_reverse := relation[::2] == edge_type[::-2]:
            index = index.flip(0)
        elif relation[::2] != edge_type[::2]:
            continue
        user, item = index.cpu().long()
        count = int(torch.isin(held_out, user * num_items + item).sum())
        if count == 0:
            continue
        where = f'{relation} would show held-out pairs of {edge_type}'
        got = f'(got {count} of {held_out.numel()} pairs)'
        if is_reverse:
            raise ValueError(
                f"{where} to a model; split before 'ToUndirected', or "
                f'remove the relation {got}'
            )
        warnings.warn(
            f'{where} to a model that reads it; remove it, unless its '
            f'pairs are known before they are to be recommended {got}'
        )


def keep_edges(data: HeteroData, edge_type: EdgeType, index: Tensor) -> None:
    r"""Selects interactions of a relation, with all that belongs to them."""
    keep_values(data, edge_type, own_attrs(data, edge_type), index)


def keep_values(
    data: HeteroData,
    of: str | EdgeType,
    names: Iterable[str],
    index: Tensor,
) -> None:
    r"""Selects values of attributes of a node type or a relation."""
    store = data[of]
    for name in names:
        value = store[name]
        store[name] = take(value, index, data.__cat_dim__(name, value, store))


def take(value: Any, index: Tensor, dim: int = 0) -> Any:
    r"""Selects along :obj:`dim` of a tensor or array, or from a list."""
    if isinstance(value, Tensor):
        return value.index_select(dim, index.to(value.device))
    if isinstance(value, np.ndarray):
        return np.take(value, index.cpu().numpy(), axis=dim)
    return type(value)(value[i] for i in index.tolist())
