"""Rows of users and items, taken as one set of nodes."""

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


# With more nodes for each that is drawn, drawing some again is faster than
# putting all in order.
_FEW = 32


def sample_nodes(num_nodes: int, num_samples: int | None) -> Tensor | None:
    r"""A sorted random set of nodes, on the host; :obj:`None`, which means
    every node, if that is what is asked for or there are no more.
    """
    if num_samples is None or num_samples >= num_nodes:
        return None
    if num_nodes <= _FEW * num_samples:
        return torch.randperm(num_nodes)[:num_samples].sort().values
    found = torch.empty(0, dtype=torch.long)
    while found.numel() < num_samples:
        draws = torch.randint(num_nodes, (num_samples,))
        found = torch.cat([found, draws]).unique()
    # All sets of as many are equally likely, and so are parts of them.
    keep = torch.randperm(found.numel())[:num_samples]
    return found[keep].sort().values


def take_nodes(pair: Pair, index: Tensor | None) -> Tensor:
    r"""The rows of users followed by items that :obj:`index` names, without
    putting the two together first.

    Args:
        pair (tuple): Rows of users :math:`(U, d)` and of items
            :math:`(I, d)`.
        index (torch.Tensor, optional): Sorted node indices on the host,
            :obj:`None` for all.
    """
    user, item = pair
    if index is None:
        return torch.cat([user, item])
    split = int(torch.searchsorted(index, user.size(0)))
    users, items = index[:split], index[split:] - user.size(0)
    return torch.cat(
        [
            user.index_select(0, users.to(user.device)),
            item.index_select(0, items.to(item.device)),
        ]
    )
