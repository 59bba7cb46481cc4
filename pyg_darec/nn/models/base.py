"""The contract of the library's own backbones."""

from typing import Any, Literal, Self

from torch import Tensor
from torch.nn import Embedding
from torch.nn.init import xavier_uniform_
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_count, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import l2_penalty
from pyg_darec.nn.recommender import Recommender

Penalty = Literal['all', 'batch']
View = tuple[Tensor, Tensor]  # embeddings of all users, of all items


class Backbone(Recommender):
    r"""A collaborative model with one input embedding per user and item.

    A subclass implements :meth:`encode`; if its loss is more than the
    objective it implements :meth:`auxiliary`, and overrides :meth:`step` only
    for the two to share a propagation.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of layers.
            (default: :obj:`3`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-6`)
        reg (str, optional): What is penalised: :obj:`'all'` parameters of
            the backbone, as RLMRec does, or the input embeddings of the
            :obj:`'batch'`, halved and averaged over it, as LightGCN's own
            code does. (default: :obj:`'all'`)

    Raises:
        ValueError: If a size is not positive or :obj:`reg` is unknown.
    """

    out_dim: int

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        num_layers: int = 3,
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__()
        check_count(num_users=num_users, num_items=num_items, dim=dim)
        if num_layers < 0:
            raise ValueError(
                f"'num_layers' must not be negative (got {num_layers})"
            )
        check_weight(reg_weight=reg_weight)
        if reg not in ('all', 'batch'):
            raise ValueError(f"'reg' needs to be 'all' or 'batch' (got {reg})")
        self.num_users = num_users
        self.num_items = num_items
        self.dim = dim
        self.out_dim = dim
        self.num_layers = num_layers
        self.reg_weight = reg_weight
        self.reg = reg
        self.user_embedding = Embedding(num_users, dim)
        self.item_embedding = Embedding(num_items, dim)

    @classmethod
    def from_data(
        cls, data: HeteroData | BipartiteGraph, dim: int = 32, **kwargs: Any
    ) -> Self:
        r"""A model of the size of :obj:`data`; further arguments are those
        of the class.
        """
        graph = as_graph(data)
        return cls(graph.num_users, graph.num_items, dim, **kwargs)

    def reset_parameters(self) -> None:
        xavier_uniform_(self.user_embedding.weight)
        xavier_uniform_(self.item_embedding.weight)

    def regularize(self, batch: Batch) -> dict[str, Tensor]:
        if self.reg_weight == 0:
            return {}
        if self.reg == 'all':
            return {'reg': self.reg_weight * l2_penalty(*self.parameters())}
        user, pos, neg = batch
        penalty = l2_penalty(
            self.user_embedding(user),
            self.item_embedding(pos),
            self.item_embedding(neg),
        )
        scale = self.reg_weight / (2 * max(user.numel(), 1))
        return {'reg': scale * penalty}

    def embedding_names(self) -> tuple[str, ...]:
        tables = self.user_embedding, self.item_embedding
        if not all('weight' in table._parameters for table in tables):
            return ()  # parametrized or pruned: computed of others
        return 'user_embedding.weight', 'item_embedding.weight'

    def check_size(self, graph: BipartiteGraph) -> None:
        r"""Raises a :class:`ValueError` if the graph has another number of
        users or items than the model.
        """
        size = self.num_users, self.num_items
        if size != (graph.num_users, graph.num_items):
            raise ValueError(
                f'The model is made for {size[0]} users and {size[1]} items '
                f'(got a graph with {graph.num_users} users and '
                f'{graph.num_items} items)'
            )

    def extra_args(self) -> str:
        r"""What :obj:`repr` prints after the sizes."""
        return f'num_layers={self.num_layers}'

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.num_users}, {self.num_items}, '
            f'{self.dim}, {self.extra_args()})'
        )
