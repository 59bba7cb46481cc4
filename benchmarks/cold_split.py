"""Users or items that a model never sees, and how well they are ranked."""

from typing import NamedTuple, get_args

import torch
from accuracy_runs import mean_of_items
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import ranking_metrics
from pyg_darec.retrieval.nodes import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)


class Split(NamedTuple):
    """Warm nodes of a kind with their interactions, and cold ones with their
    profiles.
    """

    kind: Kind
    warm: BipartiteGraph
    cold_x: Tensor
    label: Tensor
    """Users and items that belong together, one of each pair cold, (2, L)."""
    seen: Tensor
    """Users and items that are not to be ranked, (2, S)."""

    @property
    def axis(self) -> int:
        return KINDS.index(self.kind)

    @property
    def interactions(self) -> Tensor:
        """Those of training, as a matrix of warm users and warm items."""
        out = torch.zeros(self.warm.num_users, self.warm.num_items)
        out[self.warm.edge_index[0], self.warm.edge_index[1]] = 1
        return out


def hold_out(
    graph: BipartiteGraph, kind: Kind, share: float, seed: int
) -> Split:
    """Profiles of users are made from what is left to them if items are held
    out, as text of the whole training set would name those. If users are held
    out, their profiles are what is known of them: they were made from the
    training interactions, which are not ranked, and the other ones are looked
    for.
    """
    axis = KINDS.index(kind)
    num = (graph.num_users, graph.num_items)[axis]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(num, generator=generator)
    num_cold = max(int(share * num), 1)
    cold, warm = order[:num_cold], order[num_cold:].sort().values

    def among(pairs: Tensor, nodes: Tensor) -> Tensor:
        """The pairs of these nodes, which are numbered anew."""
        place = torch.full((num,), -1)
        place[nodes] = torch.arange(nodes.numel())
        rows = list(pairs)
        rows[axis] = place[pairs[axis]]
        return torch.stack(rows)[:, rows[axis] >= 0]

    pairs = among(graph.edge_index, warm)
    llm_x = {**graph.llm_x, kind: graph.llm_x[kind][warm]}
    if kind == 'item':
        llm_x['user'] = mean_of_items(pairs, graph.num_users, llm_x['item'])
    sizes = [graph.num_users, graph.num_items]
    sizes[axis] = warm.numel()
    rest = BipartiteGraph(
        pairs,
        *sizes,
        llm_x=llm_x,
        edge_label_index={'val': among(graph.edge_label_index['val'], warm)},
    )

    held_out = list(graph.edge_label_index.values())
    seen = among(graph.edge_index, cold)
    if kind == 'item':
        held_out, seen = [graph.edge_index, *held_out], seen[:, :0]
    label = among(torch.cat(held_out, dim=1), cold).unique(dim=1)
    if kind == 'item':
        label = label[:, rest.user_degree[label[0]] > 0]
    return Split(kind, rest, graph.llm_x[kind][cold], label, seen)


def recall(score: Tensor, split: Split, k: int = 20) -> float:
    """The average over users with held-out pairs, of scores (U, I)."""
    users, example = split.label[0].unique(return_inverse=True)
    k = min(k, score.size(1))
    score = score.index_put(tuple(split.seen), score.new_tensor(-torch.inf))
    top = score[users].topk(k, dim=1).indices
    label = torch.stack([example, split.label[1]])
    values, _ = ranking_metrics(top, label, [k], score.size(1))
    return float(values[f'Recall@{k}'].mean())
