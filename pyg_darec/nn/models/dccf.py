from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import pad
from torch.nn.init import xavier_uniform_

from pyg_darec.autograd import once_differentiable
from pyg_darec.checks import check_count, check_positive, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import info_nce, normalize
from pyg_darec.nn.models.base import Backbone, Penalty, View
from pyg_darec.nn.recommender import Step, add_terms
from pyg_darec.sparse import edge_dots


class DCCF(Backbone):
    r"""The DCCF model from the `"Disentangled Contrastive Collaborative
    Filtering" <https://arxiv.org/abs/2305.02759>`_ paper, in the form of the
    RLMRec benchmark. A layer looks at its input :math:`\mathbf{X}` in four
    ways: through the graph, and through the intents :math:`\mathbf{C}` that
    all users (and another set that all items) have in common,

    .. math::
        \mathbf{G} = \mathbf{A} \mathbf{X}, \quad
        \mathbf{H} = \textrm{softmax}(\mathbf{X} \mathbf{C})
        \mathbf{C}^{\top},

    and twice through the graph with edges that count the more, the more alike
    their ends are in the one view or the other,

    .. math::
        \tilde{\mathbf{g}}_u = \frac{\sum_{i \in \mathcal{N}(u)} \alpha_{ui}
        \mathbf{x}_i}{\sum_{i \in \mathcal{N}(u)} \alpha_{ui}}, \quad
        \alpha_{ui} = \frac{1 + \cos(\mathbf{g}_u, \mathbf{g}_i)}{2},

    with :math:`\tilde{\mathbf{H}}` likewise, and both zero where the weights
    of a node sum to zero. The next layer is
    :math:`\mathbf{X} + \mathbf{G} + \mathbf{H} + \tilde{\mathbf{G}} +
    \tilde{\mathbf{H}}`, and the sum of all layers, the embeddings before the
    first among them, is scored. In each layer, the graph view of every user
    of the batch has to find the other three views of the same user among
    those of all users of the batch, and that of every positive item likewise,

    .. math::
        \mathcal{L} = \mathcal{L}_{BPR} + \frac{w}{|\mathcal{U}|}
        \sum_{l=1}^{L} \sum_{\mathbf{Z} \in \{ \mathbf{H},
        \tilde{\mathbf{G}}, \tilde{\mathbf{H}} \}}
        \sum_{\mathcal{V} \in \{ \mathcal{U}, \mathcal{P} \}}
        \sum_{v \in \mathcal{V}} -\log \frac
        {\exp(\cos(\mathbf{g}_v, \mathbf{z}_v) / \tau)}
        {\sum_{c \in \mathcal{V}} \exp(\cos(\mathbf{g}_v, \mathbf{z}_c) /
        \tau)},

    where :math:`\mathcal{U}` are the users and :math:`\mathcal{P}` the
    positive items of the batch, each once. The part of the items, too, is
    divided by the number of users and not by their own: the benchmark does
    so, and its settings give its results only in this way.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        dim (int, optional): The width :math:`d` of the embeddings.
            (default: :obj:`32`)
        num_layers (int, optional): The number of layers :math:`L`; 0 is
            matrix factorisation. (default: :obj:`2`)
        num_intents (int, optional): The number of intents :math:`K` of users
            and of items; there may be more than nodes. (default: :obj:`128`)
        ssl_weight (float, optional): The weight :math:`w` of the contrast.
            (default: :obj:`1e-3`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.1`)
        reg_weight (float, optional): The weight of the :math:`\ell_2`
            penalty. (default: :obj:`1e-4`)
        reg (str, optional): What is penalised, :obj:`'all'` parameters, the
            intents among them, or the input embeddings of the
            :obj:`'batch'`. (default: :obj:`'all'`)

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
        num_layers: int = 2,
        num_intents: int = 128,
        ssl_weight: float = 1e-3,
        temperature: float = 0.1,
        reg_weight: float = 1e-4,
        reg: Penalty = 'all',
    ) -> None:
        super().__init__(num_users, num_items, dim, num_layers, reg_weight, reg)
        check_count(num_intents=num_intents)
        check_weight(ssl_weight=ssl_weight)
        check_positive(temperature=temperature)
        self.num_intents = num_intents
        self.ssl_weight = ssl_weight
        self.temperature = temperature
        self.user_intent = Parameter(torch.empty(dim, num_intents))
        self.item_intent = Parameter(torch.empty(dim, num_intents))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        xavier_uniform_(self.user_intent)
        xavier_uniform_(self.item_intent)

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        return self.propagate(graph)[0]

    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        return self._contrast(self.propagate(graph)[1], batch)

    @property
    def has_own_step(self) -> bool:
        return type(self).step is not DCCF.step

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        cls = type(self)
        if cls.encode is not DCCF.encode or cls.auxiliary is not DCCF.auxiliary:
            return super().step(graph, batch)
        # The same, with one propagation for both.
        (user, item), layers = self.propagate(graph)
        terms = self.supervise(graph, user, item, batch)
        terms = add_terms(terms, self._contrast(layers, batch))
        return Step(terms, user, item)

    def propagate(self, graph: BipartiteGraph) -> tuple[View, list[list[View]]]:
        r"""The embeddings that are scored and, of each layer, the four views:
        of the graph, of the intents, and the two that are adapted to these.
        """
        self.check_size(graph)
        user, item = self.user_embedding.weight, self.item_embedding.weight
        total_user, total_item = user, item
        layers = []
        for _ in range(self.num_layers):
            near = graph.propagate(user, item)
            intent = (
                _attend(user, self.user_intent),
                _attend(item, self.item_intent),
            )
            pair = user, item
            adapted = [_adapt(graph, view, pair) for view in (near, intent)]
            views = [near, intent, *adapted]
            users, items = zip(*views, strict=True)
            user, item = sum(users, start=user), sum(items, start=item)
            total_user, total_item = total_user + user, total_item + item
            layers.append(views)
        return (total_user, total_item), layers

    def _contrast(
        self, layers: list[list[View]], batch: Batch
    ) -> dict[str, Tensor]:
        nodes = batch[0].unique(), batch[1].unique()
        total = self.user_embedding.weight.new_zeros(())
        for near, *others in layers:
            for kind, index in enumerate(nodes):
                anchor = near[kind].index_select(0, index)
                for other in others:
                    x = other[kind].index_select(0, index)
                    loss = info_nce(anchor, x, x, self.temperature)
                    total = total + loss
        return {'ssl': self.ssl_weight / max(nodes[0].numel(), 1) * total}

    def extra_args(self) -> str:
        return (
            f'{super().extra_args()}, ssl_weight={self.ssl_weight}, '
            f'temperature={self.temperature}'
        )


def _attend(x: Tensor, intent: Tensor) -> Tensor:
    weight = (x @ intent).softmax(dim=-1)
    return weight @ intent.t()


def _adapt(graph: BipartiteGraph, view: View, x: View) -> View:
    r"""The means of the neighbours' :obj:`x`, weighted by how alike the ends
    of an edge are in :obj:`view`.
    """
    user, item = (normalize(_widen(v)) for v in view)
    product: Tensor = _EdgeProduct.apply(user, item, graph)
    # Rounding takes cosines below -1; clamped, means stay means.
    weighted = graph.with_weight(((product + 1) / 2).clamp(min=0))
    # A column of ones becomes the sum of the weights.
    near = weighted.propagate(*(pad(_widen(v), (0, 1), value=1.0) for v in x))
    norms = (v[:, -1:] for v in near)
    user, item = (
        v[:, :-1] / norm.masked_fill(norm == 0, 1.0)
        for v, norm in zip(near, norms, strict=True)
    )
    return user.to(x[0].dtype), item.to(x[1].dtype)


def _widen(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _EdgeProduct(torch.autograd.Function):
    """The inner product of the ends of each edge. Neither direction copies a
    row for every edge.
    """

    @staticmethod
    def forward(
        ctx: Any, user: Tensor, item: Tensor, graph: BipartiteGraph
    ) -> Tensor:
        ctx.graph = graph
        ctx.save_for_backward(user, item)
        zeros = user.new_zeros(graph.num_edges)
        value: Tensor = edge_dots(user, item, graph._by_user.weighted(zeros))
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph = ctx.graph.with_weight(grad)
        return *graph.propagate(*ctx.saved_tensors), None
