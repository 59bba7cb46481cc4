"""Subgraphs with all that belongs to their nodes and interactions."""

from collections.abc import Mapping

from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from pyg_darec.graph import EdgeType
from pyg_darec.held_out import LABEL_INDEX, held_out_keys
from pyg_darec.transforms.relation import (
    check_no_matrix,
    keep_values,
    own_attrs,
)


def keep_nodes(data: HeteroData, keep: Mapping[str, Tensor]) -> None:
    r"""Reduces :obj:`data` in place to the nodes that masks of their types
    name, which are numbered anew in the same order. Attributes with one value
    per node or per interaction are reduced with them, and so are all relations
    of these types and the pairs that are held out from them.
    """
    # New numbers of the nodes that stay, and -1 of all others.
    number = {
        kind: (mask.cumsum(0) - 1).masked_fill(~mask, -1)
        for kind, mask in keep.items()
    }
    for edge_type in data.edge_types:
        if keep.keys().isdisjoint(edge_type[::2]):
            continue
        check_no_matrix(data, edge_type)
        if 'edge_index' in data[edge_type]:
            _keep_pairs(data, edge_type, number)
    for node_type, mask in keep.items():
        position, store = mask.nonzero().flatten(), data[node_type]
        keep_values(data, node_type, store.node_attrs(), position)
        store.num_nodes = position.numel()


def _keep_pairs(
    data: HeteroData, edge_type: EdgeType, number: Mapping[str, Tensor]
) -> None:
    store, attrs = data[edge_type], own_attrs(data, edge_type)
    parts = {'edge_index': attrs}
    for key in held_out_keys(data, edge_type):
        # What splits give to held-out pairs.
        prefix = key.removesuffix(LABEL_INDEX)
        given = [prefix + attr for attr in attrs if prefix]
        names = [key, f'{prefix}edge_label', *given]
        parts[key] = [name for name in names if name in store]
    for key, names in parts.items():
        index = store[key].clone()
        if isinstance(index, EdgeIndex):  # which knows the old sizes
            index = index.as_tensor()
        for row, kind in enumerate(edge_type[::2]):
            if kind in number:
                index[row] = number[kind][index[row].long()].to(index.dtype)
        store[key] = index
        stays = (index >= 0).all(dim=0).nonzero().flatten()
        keep_values(data, edge_type, names, stays)
