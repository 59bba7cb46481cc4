"""Items that a user has not interacted with, drawn without rejection."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_weight
from pyg_darec.graph import BipartiteGraph

# Of all weights together. A draw from 2^62 numbers is even over this many to
# 4e-6, and shares of ten million items are rounded by no more than that.
TOTAL = 2**44


class NegativeSampler:
    r"""Draws for each user one item from exactly those items that the user
    has no training interaction with, in proportion to

    .. math::
        w_i = \deg(i)^{\alpha},

    so that :math:`\alpha = 0` draws uniformly, :math:`\alpha = 1` as often
    as items occur, and :math:`\alpha = 0.75` as in the `"Distributed
    Representations of Words and Phrases and their Compositionality"
    <https://arxiv.org/abs/1310.4546>`_ paper.

    Nothing is drawn in vain. With weights as integers, laid end to end, and
    the sorted items :math:`c_0 < c_1 < \ldots` of a user :math:`u`, a number
    :math:`r` below the weight of all the items that are left has its place
    among all weights at

    .. math::
        r + \sum_{j \,:\, a_j \le r} w_{c_j}, \qquad
        a_j = \sum_{i < c_j} w_i - \sum_{l < j} w_{c_l},

    inside the very item that is drawn. As :math:`a_j` never decreases with
    :math:`j`, one binary search over all the edges of the graph finds these
    sums for all the users at once. Integers keep the answer exact: rounding
    never yields an item that the user has.

    Items without interactions have the least weight there is, one part in
    :math:`2^{44}`: they are drawn for a user who has all the others, and in
    practice for nobody else. For more than 260,000 users the part grows with
    their number, since :math:`U` times all weights has to fit an integer.

    Args:
        graph (BipartiteGraph or HeteroData): The training interactions.
        alpha (float, optional): The exponent :math:`\alpha`.
            (default: :obj:`0.0`)

    Shapes:
        - **user:** :math:`(n)`, in any order and with repetition, of any
          integer dtype
        - **output:** :math:`(n)`, of dtype :obj:`torch.int64`

    Raises:
        ValueError: If :obj:`alpha` is negative or not finite.
    """

    def __init__(
        self, graph: HeteroData | BipartiteGraph, alpha: float = 0.0
    ) -> None:
        check_weight(alpha=alpha)
        graph = as_graph(graph)
        self.num_users, self.num_items = graph.num_users, graph.num_items
        self.alpha = alpha
        user, item = graph.edge_index
        weight = _integer_weight(graph, alpha)
        total = int(weight.sum())
        self._total, self._end = total, weight.cumsum(0)
        self._start = graph.user_degree.cumsum(0) - graph.user_degree
        # Of the edges before each one, over all users.
        taken = torch.cat([user.new_zeros(1), weight[item].cumsum(0)])
        self._taken = taken
        before = taken[:-1] - taken[self._start].index_select(0, user)
        self._key = user * total + self._end[item] - weight[item] - before
        end = self._start + graph.user_degree
        self._left = total - (taken[end] - taken[self._start])
        # Asked once, since every question to the device makes it wait.
        self._all_have_one = bool((self._left > 0).all())

    def sample(
        self, user: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""Draws one item for each entry of :obj:`user`.

        Args:
            user (torch.Tensor): The users. The search is fastest for users
                in ascending order.
            generator (torch.Generator, optional): Where the randomness comes
                from; has to live on the device of :obj:`user`.
                (default: :obj:`None`)

        Raises:
            ValueError: If a user has interacted with every item.
        """
        user = user.long()  # places among all weights fit no narrow integer
        left = self._left.index_select(0, user)
        if not self._all_have_one and bool((left == 0).any()):
            raise ValueError(
                f'User {int(user[left == 0][0])} has interacted with '
                f'every item, so that no negative can be drawn; leave such '
                f'users out (got {self.num_items} items)'
            )
        r = torch.randint(
            2**62, user.shape, generator=generator, device=user.device
        )
        r = r.remainder_(left)
        key = user * self._total + r
        count = torch.searchsorted(self._key, key, right=True)
        start = self._start.index_select(0, user)
        if self.alpha == 0:  # all weights are one
            return r + count - start
        r += self._taken[count] - self._taken[start]
        return torch.searchsorted(self._end, r, right=True)

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items}, alpha={self.alpha})'
        )


def _integer_weight(graph: BipartiteGraph, alpha: float) -> Tensor:
    degree = graph.item_degree
    if alpha == 0:
        return torch.ones_like(degree)
    share = (degree / degree.max().clamp(min=1)).double() ** alpha
    share = share / share.sum().clamp(min=1)
    total = min(TOTAL, 2**62 // max(graph.num_users, 1))
    return (share * total).round().long().clamp(min=1)
