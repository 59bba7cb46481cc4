"""Items of the other interactions of a batch, as negatives."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader.negative_sampler import NegativeSampler

# Rows whose draws all fall on items that the user has are told apart from
# those with nothing to draw by looking at the whole batch.
ROUNDS = 32
# Candidates looked at together, 32 MiB of int64.
MAX_CANDIDATES = 2**22


class InBatchSampler:
    r"""Draws for each interaction of a batch the item of another one,
    uniformly from exactly those interactions of the batch whose item the
    user has no training interaction with. Over an epoch, an item is drawn
    about as often as it occurs.

    Where no such interaction is in the batch, the item is drawn uniformly
    from all items that the user has not interacted with.

    Args:
        graph (BipartiteGraph or HeteroData): The training interactions.

    Shapes:
        - **user**, **item:** :math:`(n)`, of any integer dtype
        - **output:** :math:`(n)`, of dtype :obj:`torch.int64`
    """

    def __init__(self, graph: HeteroData | BipartiteGraph) -> None:
        graph = as_graph(graph)
        self.num_users, self.num_items = graph.num_users, graph.num_items
        user, item = graph.edge_index
        self._key = user * self.num_items + item  # sorted, as the edges are
        self._uniform = NegativeSampler(graph)

    def sample(
        self,
        user: Tensor,
        item: Tensor,
        batch_size: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Draws one item for each interaction of an epoch.

        Args:
            user (torch.Tensor): The users of the epoch, batch after batch.
            item (torch.Tensor): Their items.
            batch_size (int): The number of interactions in a batch. The last
                batch may be smaller.
            generator (torch.Generator, optional): Where the randomness comes
                from; has to live on the device of :obj:`user`.
                (default: :obj:`None`)

        Raises:
            ValueError: If a user has interacted with every item.
        """
        user, item = user.long(), item.long()  # pairs fit no narrow integer
        if user.numel() == 0:
            return torch.empty_like(item)
        row = torch.arange(user.numel(), device=user.device)
        first = row - row % batch_size
        size = (user.numel() - first).clamp(max=batch_size)
        neg = torch.empty_like(item)
        for _ in range(ROUNDS):
            draw = torch.randint(
                2**62, row.shape, generator=generator, device=user.device
            )
            drawn = item[first[row] + draw % size[row]]
            neg[row] = drawn
            row = row[self._is_known(user[row], drawn)]
            if row.numel() == 0:
                return neg
        width = min(batch_size, user.numel())
        for part in row.split(max(MAX_CANDIDATES // width, 1)):
            offset = torch.arange(width, device=user.device)
            place = first[part].unsqueeze(1) + offset
            inside = offset < size[part].unsqueeze(1)
            candidate = item[place.clamp_(max=user.numel() - 1)]
            neg[part] = self._search(user[part], candidate, inside, generator)
        return neg

    def _is_known(self, user: Tensor, item: Tensor) -> Tensor:
        if self._key.numel() == 0:
            return torch.zeros_like(item, dtype=torch.bool)
        key = user * self.num_items + item
        place = torch.searchsorted(self._key, key)
        place = place.clamp_(max=self._key.numel() - 1)
        known: Tensor = self._key[place] == key
        return known

    def _search(
        self,
        user: Tensor,
        candidate: Tensor,
        inside: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """One draw for each user from all rows of the batch."""
        allowed = inside & ~self._is_known(user.unsqueeze(1), candidate)
        count = allowed.sum(1)
        draw = torch.randint(
            2**62, user.shape, generator=generator, device=user.device
        )
        rank = (draw % count.clamp(min=1)).unsqueeze(1)
        # The place behind as many allowed ones as 'rank' says.
        place = (allowed.cumsum(1) <= rank).sum(1, keepdim=True)
        place.clamp_(max=candidate.size(1) - 1)
        neg = candidate.gather(1, place).squeeze(1)
        nothing = count == 0
        neg[nothing] = self._uniform.sample(user[nothing], generator)
        return neg

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items})'
        )
