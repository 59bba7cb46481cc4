"""What AutoCF hides of a graph, and along which edges it is rebuilt. Nodes
are the users followed by the items.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.functional.edge_attention import Edges
from pyg_darec.sparse import CSR


class Scene(NamedTuple):
    """What the encoder and the decoder see of the graph with these edges."""

    encoder: BipartiteGraph
    decoder: Edges
    edge_index: Tensor

    def fits(self, graph: BipartiteGraph) -> bool:
        known, given = self.edge_index, graph.edge_index
        # Views of one graph share the tensor; a graph that was built again
        # from the same data does not.
        return known is given or (
            known.device == given.device and torch.equal(known, given)
        )


def full_scene(graph: BipartiteGraph) -> Scene:
    """Both see all interactions and nothing else."""
    key = _keys(graph, graph.edge_index).sort().values
    return Scene(graph, _edges(key, graph.num_nodes), graph.edge_index)


def masked_scene(
    graph: BipartiteGraph, seeds: Tensor, depth: int, keep_rate: float
) -> Scene:
    """The encoder sees no edge of a node that is less than `depth` hops from
    a seed. The decoder sees the edges that are left, every node itself, and
    random edges between those nodes and a random share `keep_rate` of all.
    """
    num, device = graph.num_nodes, graph.device
    unit = graph.with_weight(torch.ones_like(graph.weight))
    masked = torch.zeros(num, dtype=torch.bool, device=device)
    masked[seeds] = True
    for _ in range(depth - 1):
        masked |= _neighbor_sum(unit, masked.to(graph.weight)).bool()

    user, item = graph.edge_index[0], graph.edge_index[1] + graph.num_users
    keep = ~(masked[user] | masked[item])
    thinned = graph.with_weight(keep.to(graph.weight))
    degree = _neighbor_sum(thinned, graph.weight.new_ones(num))
    norm = (degree[user] * degree[item]).clamp(min=1).rsqrt()
    encoder = graph.with_weight(graph.weight * keep)
    if not graph.is_weighted:
        encoder = graph.with_weight(norm * keep)

    draws = torch.randint(num, (int(num * keep_rate),), device=device)
    masked[draws] = True
    node = masked.nonzero().squeeze(1)
    size = 2, 2 * graph.num_edges
    a, b = node[torch.randint(node.numel(), size, device=device)]
    itself = torch.arange(num, device=device) * (num + 1)
    left = _keys(graph, graph.edge_index[:, keep])
    key = torch.cat([a * num + b, b * num + a, itself, left]).unique()
    return Scene(encoder, _edges(key, num), graph.edge_index)


def center_scores(graph: BipartiteGraph, user: Tensor, item: Tensor) -> Tensor:
    """How well every node fits its surroundings: the log-sigmoid of the
    cosine to the mean of its neighbours and of theirs without itself.
    """
    unit = graph.with_weight(torch.ones_like(graph.weight))
    near = unit.propagate(user, item)
    far = unit.propagate(*near)
    x, first, second = (torch.cat(p) for p in ((user, item), near, far))
    degree = torch.cat([graph.user_degree, graph.item_degree]).unsqueeze(1)
    # Two steps lead back to where they began once for every neighbour. What
    # a mean divides by makes no difference to a cosine. The code of RLMRec
    # corrects for self-loops that its graph has not, by which it counts
    # neighbours as -1; this is the formula of the paper.
    around = first + second - degree * x
    return logsigmoid((normalize(x) * normalize(around)).sum(dim=-1))


def _neighbor_sum(graph: BipartiteGraph, x: Tensor) -> Tensor:
    user, item = x.unsqueeze(1).split([graph.num_users, graph.num_items])
    return torch.cat(graph.propagate(user, item)).squeeze(1)


def _keys(graph: BipartiteGraph, edge_index: Tensor) -> Tensor:
    """One number per direction of an edge."""
    user, item = edge_index[0], edge_index[1] + graph.num_users
    num = graph.num_nodes
    return torch.cat([user * num + item, item * num + user])


def _edges(key: Tensor, num: int) -> Edges:
    """The matrix of these sorted keys, which is symmetric."""
    row = torch.div(key, num, rounding_mode='floor')
    matrix = CSR.from_edges(row, key - row * num, (num, num), is_sorted=True)
    # The transpose is another order of the weights and nothing else.
    return matrix, matrix._replace(order=matrix.col.argsort(stable=True))
