from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models.base import Backbone, Penalty, View

Combine = Literal['sum', 'mean']


class LightGCN(Backbone):
    r"""The LightGCN model from the `"LightGCN: Simplifying and Powering
    Graph Convolution Network for Recommendation"
    <https://arxiv.org/abs/2002.02126>`_ paper: embeddings are propagated
    without weights or activations,

    .. math::
        \mathbf{e}^{(l+1)}_u = \sum_{i \in \mathcal{N}(u)}
        \frac{1}{\sqrt{\deg(u) \deg(i)}} \mathbf{e}^{(l)}_i,

    and combined over layers,

    .. math::
        \mathbf{e}_u = \sum_{l=0}^{L} \alpha \mathbf{e}^{(l)}_u,

    with :math:`\alpha = 1` for :obj:`'sum'` and :math:`\alpha = 1 / (L + 1)`
    for :obj:`'mean'`. The defaults are those of the RLMRec benchmark; the
    LightGCN paper uses :obj:`combine='mean'`, :obj:`edge_dropout=0`,
    :obj:`reg='batch'`, :obj:`reg_weight=1e-4` and :obj:`dim=64`. Edge dropout
    leaves out an interaction in both directions, where the benchmark's code
    draws for each of the two.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations :math:`L`; 0
            is matrix factorisation. (default: :obj:`3`)
        combine (str, optional): How layers are combined, :obj:`'sum'` or
            :obj:`'mean'`. (default: :obj:`'sum'`)
        edge_dropout (float, optional): The share of interactions that a
            training step leaves out of the propagation, without rescaling
            the others. (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-6`)
        reg (str, optional): What is penalised, :obj:`'all'` parameters or
            the embeddings of the :obj:`'batch'`. (default: :obj:`'all'`)

    Shapes:
        - **input:** data with :math:`U` users and :math:`I` items
        - **output:** user embeddings :math:`(U, d)`, item embeddings
          :math:`(I, d)`

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        num_layers: int = 3,
        combine: Combine = 'sum',
        edge_dropout: float = 0.2,
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(num_users, num_items, dim, num_layers, reg_weight, reg)
        if combine not in ('sum', 'mean'):
            raise ValueError(
                f"'combine' needs to be 'sum' or 'mean' (got '{combine}')"
            )
        if not 0 <= edge_dropout < 1:
            raise ValueError(
                f"'edge_dropout' needs to be in [0, 1) (got {edge_dropout})"
            )
        self.combine = combine
        self.edge_dropout = edge_dropout
        self.reset_parameters()

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        return self.combine_layers(self._layers(graph))

    def layers(self, graph: BipartiteGraph) -> list[View]:
        r"""The embeddings after each propagation of :meth:`encode`, and
        before the first.
        """
        return list(self._layers(graph))

    def _layers(self, graph: BipartiteGraph) -> Iterator[View]:
        self.check_size(graph)
        if self.training:
            graph = graph.drop_edges(self.edge_dropout)
        return self.propagate([graph] * self.num_layers)

    def propagate(
        self,
        graphs: Sequence[BipartiteGraph],
        perturb: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> Iterator[View]:
        r"""Propagates over one graph a layer; yields one layer after the
        other, so that a sum of them need not hold them all.

        Args:
            graphs (Sequence[BipartiteGraph]): The graph of each layer.
            perturb (callable, optional): What is done to the embeddings
                after each layer. (default: nothing)
        """
        pair = self.user_embedding.weight, self.item_embedding.weight
        yield pair
        for graph in graphs:
            user, item = graph.propagate(*pair)
            pair = perturb(user), perturb(item)
            yield pair

    def combine_layers(self, layers: Iterable[View]) -> View:
        r"""The sum or the mean of the layers."""
        layers = iter(layers)
        user, item = next(layers)
        count = 1
        for next_user, next_item in layers:
            # Only sums are added to in place: the first layer is a parameter.
            if count == 1:
                user, item = user + next_user, item + next_item
            else:
                user += next_user
                item += next_item
            count += 1
        if self.combine == 'mean':
            user, item = user / count, item / count
        return user, item

    def extra_args(self) -> str:
        return f"{super().extra_args()}, combine='{self.combine}'"
