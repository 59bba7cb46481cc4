"""Second implementations on dense matrices in float64, for small graphs."""

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph


def adjacency(graph: BipartiteGraph, self_loops: bool = False) -> Tensor:
    """Both directions, items after users, symmetrically normalised."""
    num = graph.num_nodes
    adj = torch.eye(num).double() * self_loops
    user, item = graph.edge_index[0], graph.edge_index[1] + graph.num_users
    adj[user, item] = adj[item, user] = 1
    degree = adj.sum(dim=1)
    scale = torch.where(degree > 0, degree, 1.0) ** -0.5
    return scale[:, None] * adj * scale[None, :]


def tables(model: torch.nn.Module) -> Tensor:
    weight = [model.user_embedding.weight, model.item_embedding.weight]  # type: ignore[union-attr]
    return torch.cat(weight).detach().double()  # type: ignore[arg-type]


def contrast(
    first: Tensor,
    second: Tensor,
    num_users: int,
    batch: tuple[Tensor, ...],
    tau: float,
) -> Tensor:
    """One node after the other, against all users or all items."""
    total = torch.zeros(()).double()
    for n, index in enumerate(batch):
        part = slice(num_users, None) if n else slice(num_users)
        a, b = first[part], second[part]
        for k in index.tolist():
            cosine = torch.cosine_similarity(a[k : k + 1], b, dim=1)
            ratio = (cosine[k] / tau).exp() / (cosine / tau).exp().sum()
            total = total - ratio.log()
    return total / len(batch[0])
