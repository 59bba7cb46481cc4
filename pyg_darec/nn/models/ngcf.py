import torch
from torch import Tensor
from torch.nn import Linear, ModuleList
from torch.nn.functional import dropout, leaky_relu
from torch.nn.init import xavier_uniform_

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.models.base import Backbone, Penalty


class NGCF(Backbone):
    r"""Neural graph collaborative filtering from the `"Neural Graph
    Collaborative Filtering" <https://arxiv.org/abs/1905.08108>`_ paper, with
    messages of neighbours and of their affinity to the node itself,

    .. math::
        \mathbf{E}^{(l+1)} = \textrm{LeakyReLU} \left(
        (\mathbf{A} + \mathbf{I}) \mathbf{E}^{(l)} \mathbf{W}_1^{(l)} +
        (\mathbf{A} \mathbf{E}^{(l)}) \odot \mathbf{E}^{(l)}
        \mathbf{W}_2^{(l)} \right),

    with the symmetrically normalised adjacency matrix :math:`\mathbf{A}`.
    All layers are kept side by side; as in the authors' code, those after
    the first have unit length there, and the slope of the LeakyReLU is 0.2.
    That code has biases, and a LeakyReLU around each of the two sums, which
    the paper has not.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width :math:`d` of one layer.
            (default: :obj:`32`)
        num_layers (int, optional): The number of layers :math:`L`.
            (default: :obj:`3`)
        message_dropout (float, optional): The share of the entries of a
            layer that a training step leaves out. (default: :obj:`0.1`)
        edge_dropout (float, optional): The share of interactions that a
            training step leaves out. (default: :obj:`0.0`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-6`)
        reg (str, optional): What is penalised, :obj:`'all'` parameters or
            the embeddings of the :obj:`'batch'`. (default: :obj:`'all'`)

    Shapes:
        - **input:** data with :math:`U` users and :math:`I` items
        - **output:** user embeddings :math:`(U, (L + 1) d)`, item embeddings
          :math:`(I, (L + 1) d)`

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        num_layers: int = 3,
        message_dropout: float = 0.1,
        edge_dropout: float = 0.0,
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(num_users, num_items, dim, num_layers, reg_weight, reg)
        for name, p in (
            ('message_dropout', message_dropout),
            ('edge_dropout', edge_dropout),
        ):
            if not 0 <= p < 1:
                raise ValueError(f"'{name}' needs to be in [0, 1) (got {p})")
        self.out_dim = (num_layers + 1) * dim
        self.message_dropout = message_dropout
        self.edge_dropout = edge_dropout
        self.neighbor, self.affinity = (
            ModuleList(
                [Linear(dim, dim, bias=False) for _ in range(num_layers)]
            )
            for _ in range(2)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for linear in [*self.neighbor, *self.affinity]:
            xavier_uniform_(linear.weight)

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        self.check_size(graph)
        if self.training:
            graph = graph.drop_edges(self.edge_dropout)
        pair = self.user_embedding.weight, self.item_embedding.weight
        layers = [pair]
        for neighbor, affinity in zip(
            self.neighbor, self.affinity, strict=True
        ):
            near = graph.propagate(*pair)
            user, item = (
                dropout(
                    leaky_relu(neighbor(n + x) + affinity(n * x), 0.2),
                    self.message_dropout,
                    self.training,
                )
                for n, x in zip(near, pair, strict=True)
            )
            pair = user, item
            layers.append((normalize(user), normalize(item)))
        users, items = zip(*layers, strict=True)
        return torch.cat(users, dim=-1), torch.cat(items, dim=-1)
