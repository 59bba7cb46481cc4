"""Subgraphs with all that belongs to their nodes and interactions."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import EdgeType
from pyg_darec.transforms.relation import held_out_keys, own_attrs, take

_LABEL = 'edge_label_index'


def keep_nodes(data: HeteroData, keep: Mapping[str, Tensor]) -> None:
    r"""Reduces :obj:`data` in place to the nodes that masks of their types
    name, which are numbered anew in the same order. Attributes with one value
    per node or per interaction are reduced with them, and so are all relations
    of these types and the pairs that are held out from them.
    """
    for edge_type in data.edge_types:
        is_theirs = not keep.keys().isdisjoint(edge_type[::2])
        if is_theirs and 'edge_index' in data[edge_type]:
            _keep_pairs(data, edge_type, keep)
    for node_type, mask in keep.items():
        _keep_nodes(data, node_type, mask)


def _keep_pairs(
    data: HeteroData, edge_type: EdgeType, keep: Mapping[str, Tensor]
) -> None:
    store, attrs = data[edge_type], own_attrs(data, edge_type)
    parts = {'edge_index': attrs}
    for key in held_out_keys(data, edge_type):
        # What splits give to held-out pairs.
        prefix = key.removesuffix(_LABEL)
        given = [prefix + attr for attr in attrs if prefix]
        names = [key, f'{prefix}edge_label', *given]
        parts[key] = [name for name in names if name in store]
    for key, names in parts.items():
        edge, store[key] = _renumbered(store[key], edge_type, keep)
        for name in names:
            value = store[name]
            dim = data.__cat_dim__(name, value, store)
            store[name] = take(value, edge, dim)


def _renumbered(
    index: Tensor, edge_type: EdgeType, keep: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The positions of pairs that stay, and all pairs by their new numbers."""
    out = index.clone()
    edge = torch.ones_like(index[0], dtype=torch.bool)
    for row, kind in enumerate(edge_type[::2]):
        if kind in keep:
            old = index[row].long()
            edge &= keep[kind][old]
            out[row] = (keep[kind].cumsum(0) - 1)[old].to(out.dtype)
    return edge.nonzero().flatten(), out


def _keep_nodes(data: HeteroData, node_type: str, mask: Tensor) -> None:
    store, position = data[node_type], mask.nonzero().flatten()
    for key in store.node_attrs():
        dim = data.__cat_dim__(key, store[key], store)
        store[key] = take(store[key], position, dim)
    store.num_nodes = position.numel()
