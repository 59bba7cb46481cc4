"""Rows of users and items, taken as one set of nodes."""

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph, Kind
from pyg_darec.operators import operator

Pair = tuple[Tensor, Tensor]


# With more nodes for each that is drawn, drawing some again is faster than
# putting all in order.
_FEW = 32


def with_profile(graph: BipartiteGraph, kind: Kind, index: Tensor) -> Tensor:
    r"""Those of the users or items in :obj:`index` that have a profile, for
    the others have nothing to be aligned with.
    """
    known = graph.profiled(kind)
    return index if known is None else index[known.mask[index]]


def profiled_nodes(graph: BipartiteGraph) -> Tensor | None:
    r"""The nodes that have a profile, ascending and on the host; :obj:`None`
    if all do, or nobody does: zeros are as good as any others then.
    """
    user, item = graph.profiled('user'), graph.profiled('item')
    if user is None and item is None:
        return None
    users = torch.arange(graph.num_users) if user is None else user.host_nodes
    items = torch.arange(graph.num_items) if item is None else item.host_nodes
    nodes = torch.cat([users, items + graph.num_users])
    return nodes if nodes.numel() > 0 else None


def sample_nodes(
    num_nodes: int, num_samples: int | None, among: Tensor | None = None
) -> Tensor | None:
    r"""A sorted random set of nodes, on the host; :obj:`None`, which means
    every node, if that is what is asked for or there are no more.

    Args:
        num_nodes (int): The number of nodes.
        num_samples (int, optional): How many are drawn, :obj:`None` for all.
        among (torch.Tensor, optional): The sorted nodes to draw from,
            :obj:`None` for all. (default: :obj:`None`)
    """
    if among is not None:
        place = sample_nodes(among.numel(), num_samples)
        return among if place is None else among[place]
    if num_samples is None or num_samples >= num_nodes:
        return None
    drawn: Tensor = _draw_nodes(num_nodes, num_samples)
    return drawn


@operator(
    'draw_nodes(int num_nodes, int num_samples) -> Tensor',
    fake=lambda num_nodes, num_samples: torch.empty(
        num_samples, dtype=torch.long
    ),
    tags=(torch.Tag.nondeterministic_seeded,),
)
def _draw_nodes(num_nodes: int, num_samples: int) -> Tensor:
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
    if torch.compiler.is_compiling():
        # How many of them are users would be a shape that depends on data.
        index, num = index.to(user.device), user.size(0)
        users = user.index_select(0, index.clamp(max=num - 1))
        items = item.index_select(0, (index - num).clamp(min=0))
        return torch.where((index < num).unsqueeze(1), users, items)
    split = int(torch.searchsorted(index, user.size(0)))
    users, items = index[:split], index[split:] - user.size(0)
    return torch.cat(
        [
            user.index_select(0, users.to(user.device)),
            item.index_select(0, items.to(item.device)),
        ]
    )
