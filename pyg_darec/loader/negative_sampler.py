"""Items that a user has not interacted with, drawn without rejection."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph, as_graph


class NegativeSampler:
    r"""Draws for each user one item uniformly from exactly those items that
    the user has no training interaction with.

    Nothing is drawn in vain: for a user :math:`u` of degree :math:`g` with
    sorted items :math:`c_0 < c_1 < \ldots`, a number :math:`r` is drawn from
    :math:`[0, I - g)` and mapped to the :math:`r`-th item that is left,

    .. math::
        i = r + \left| \{ j : c_j - j \le r \} \right|.

    As :math:`c_j - j` never decreases with :math:`j`, one binary search over
    all the edges of the graph counts that set for all the users at once.

    Args:
        graph (BipartiteGraph or HeteroData): The training interactions.

    Shapes:
        - **user:** :math:`(n)`, in any order and with repetition
        - **output:** :math:`(n)`
    """

    def __init__(self, graph: HeteroData | BipartiteGraph) -> None:
        graph = as_graph(graph)
        self.num_users, self.num_items = graph.num_users, graph.num_items
        user, item = graph.edge_index
        self._start = graph.user_degree.cumsum(0) - graph.user_degree
        rank = torch.arange(graph.num_edges, device=graph.device)
        rank = rank - self._start[user]  # j, as the edges are sorted
        self._key = user * self.num_items + (item - rank)
        self._num_left = self.num_items - graph.user_degree
        # Asked once, since every question to the device makes it wait.
        self._all_have_one = bool((self._num_left > 0).all())

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
        num_left = self._num_left[user]
        if not self._all_have_one and bool((num_left == 0).any()):
            raise ValueError(
                f'User {int(user[num_left == 0][0])} has interacted with '
                f'every item, so that no negative can be drawn; leave such '
                f'users out (got {self.num_items} items)'
            )
        # The remainder favours small numbers by less than I / 2^62, far below
        # what floating point numbers of the same cost could promise.
        r = torch.randint(
            2**62, user.shape, generator=generator, device=user.device
        )
        r = r.remainder_(num_left)
        key = user * self.num_items + r
        count = torch.searchsorted(self._key, key, right=True)
        return r + count - self._start[user]

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items})'
        )
