"""Users or items that a model never sees, and how well they are ranked."""

import copy
from typing import NamedTuple, get_args

import torch
from data_sets import mean_of_items
from torch import Tensor

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import EDGE_TYPE, BipartiteGraph
from pyg_darec.hash_split import PROFILE_SPLIT
from pyg_darec.metrics import ranking_metrics
from pyg_darec.retrieval.nodes import Kind
from pyg_darec.transforms import HoldOutNodes

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
    data = copy.copy(graph.source)
    assert data is not None
    if kind == 'item':
        data['user'].num_nodes = graph.num_users
        for name in ('llm_x', PROFILE_SPLIT):
            data['user'].pop(name, None)
    warm, cold = HoldOutNodes(kind, share, seed)(data)
    if kind == 'item':
        warm['user'].llm_x = mean_of_items(
            warm[EDGE_TYPE].edge_index, graph.num_users, warm['item'].llm_x
        )
    # Nothing that is chosen is to know of them.
    warm[EDGE_TYPE].pop('test_edge_label_index', None)
    pairs = cold[EDGE_TYPE]
    label, seen = pairs.test_edge_label_index, pairs.edge_index
    return Split(kind, as_graph(warm), cold[kind].llm_x, label, seen)


def recall(score: Tensor, split: Split, k: int = 20) -> float:
    """The average over users with held-out pairs, of scores (U, I)."""
    users, example = split.label[0].unique(return_inverse=True)
    k = min(k, score.size(1))
    score = score.index_put(tuple(split.seen), score.new_tensor(-torch.inf))
    top = score[users].topk(k, dim=1).indices
    label = torch.stack([example, split.label[1]])
    values, _ = ranking_metrics(top, label, [k], score.size(1))
    return float(values[f'Recall@{k}'].mean())
