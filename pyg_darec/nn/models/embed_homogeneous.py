"""Models called on the edges of one graph, of users followed by items."""

from typing import Any

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph


def embed_homogeneous(model: Any, graph: BipartiteGraph) -> Any:
    known = getattr(model, 'num_nodes', None)
    if isinstance(known, int) and known < graph.num_nodes:
        # An index out of range to PyG's own.
        raise _wrong_size(model, graph, known)
    user, item = graph.edge_index[0], graph.edge_index[1] + graph.num_users
    edge_index = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    out = model.get_embedding(edge_index)
    if not isinstance(out, Tensor):
        return out  # a pair, or what is refused as none
    if out.size(0) != graph.num_nodes:
        raise _wrong_size(model, graph, out.size(0))
    return out[: graph.num_users], out[graph.num_users :]


def _wrong_size(model: Any, graph: BipartiteGraph, num: int) -> ValueError:
    return ValueError(
        f"'{type(model).__name__}' needs {graph.num_nodes} nodes, "
        f'{graph.num_users} users followed by {graph.num_items} items '
        f'(got {num})'
    )
