"""A baseline without an embedding of its own for any user or item."""

from typing import Self

import torch
from data_sets import mean_of_items
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.objectives import SampledSoftmax
from pyg_darec.nn.recommender import Recommender


class AlphaRec(Recommender):
    """The `"Language Representations Can be What Recommenders Need"
    <https://arxiv.org/abs/2407.05441>`_ paper: profiles of items, and for a
    user the mean of those of the training items, through a perceptron, two
    layers of LightGCN and their mean; cosines in scores and in a softmax over
    drawn items. (The paper draws 256 of them for each positive; here all
    positives of a batch share as many as it has.)
    """

    source: Tensor
    out_dim: int

    def __init__(
        self,
        source: Tensor,
        dim: int = 32,
        num_layers: int = 2,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        self.register_buffer('source', source, persistent=False)
        self.encoder = Encoder(source.size(1), dim)
        self.out_dim = dim
        self.num_layers = num_layers
        self.temperature = temperature
        self.objective = SampledSoftmax(temperature, negatives='uniform')

    @classmethod
    def from_data(
        cls, graph: BipartiteGraph, dim: int = 32, **kwargs: float
    ) -> Self:
        item = normalize(graph.llm_x['item'].float())
        user = mean_of_items(graph.edge_index, graph.num_users, item)
        return cls(torch.cat([user, item]), dim, **kwargs)  # type: ignore[arg-type]

    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        sizes = [graph.num_users, graph.num_items]
        user, item = self.encoder(self.source, self.out_dim).split(sizes)
        layers = [(user, item)]
        for _ in range(self.num_layers):
            layers.append(graph.propagate(*layers[-1]))
        users, items = zip(*layers, strict=True)
        return normalize(sum(users)), normalize(sum(items))
