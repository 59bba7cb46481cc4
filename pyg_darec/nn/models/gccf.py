import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models.base import Backbone, Penalty


class GCCF(Backbone):
    r"""The linear residual GCN (LR-GCCF) from the `"Revisiting Graph based
    Collaborative Filtering: A Linear Residual Graph Convolutional Network
    Approach" <https://arxiv.org/abs/2001.10167>`_ paper, without weight
    matrices, as in the RLMRec benchmark. On the graph with self-loops,

    .. math::
        \mathbf{e}^{(l+1)}_u = \frac{\mathbf{e}^{(l)}_u}{\deg(u) + 1} +
        \sum_{i \in \mathcal{N}(u)}
        \frac{\mathbf{e}^{(l)}_i}{\sqrt{(\deg(u) + 1)(\deg(i) + 1)}},

    and all layers are kept side by side,

    .. math::
        \mathbf{e}_u = \mathbf{e}^{(0)}_u \, \Vert \ldots \Vert \,
        \mathbf{e}^{(L)}_u,

    so that the inner product adds up the similarities of every layer, the
    residual preference of the paper.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width :math:`d` of one layer.
            (default: :obj:`32`)
        num_layers (int, optional): The number of propagations :math:`L`.
            (default: :obj:`3`)
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
        reg_weight: float = 1e-6,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(num_users, num_items, dim, num_layers, reg_weight, reg)
        self.out_dim = (num_layers + 1) * dim
        self.reset_parameters()

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        self.check_size(graph)
        user, item = self.user_embedding.weight, self.item_embedding.weight
        degree_u = graph.user_degree.to(user.dtype).unsqueeze(-1)
        degree_i = graph.item_degree.to(item.dtype).unsqueeze(-1)
        # Turns the graph's own normalisation into that with self-loops.
        scale_u = (degree_u / (degree_u + 1)).sqrt()
        scale_i = (degree_i / (degree_i + 1)).sqrt()
        users, items = [user], [item]
        for _ in range(self.num_layers):
            near_u, near_i = graph.propagate(scale_u * user, scale_i * item)
            user = scale_u * near_u + user / (degree_u + 1)
            item = scale_i * near_i + item / (degree_i + 1)
            users.append(user)
            items.append(item)
        return torch.cat(users, dim=-1), torch.cat(items, dim=-1)
