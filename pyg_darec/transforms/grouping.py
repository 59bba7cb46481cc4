"""Group-wise operations on index vectors, without loops over groups."""

import torch
from torch import Tensor


def sort_order(*keys: Tensor) -> Tensor:
    """Indices that sort by the first key, then the second, and so on."""
    order = torch.arange(keys[0].numel())
    for key in reversed(keys):
        order = order[key[order].argsort(stable=True)]
    return order


def first_of_group(group: Tensor, order: Tensor) -> Tensor:
    """The first member of each group in an order that keeps groups whole."""
    sorted_group = group[order]
    first = torch.ones_like(sorted_group, dtype=torch.bool)
    first[1:] = sorted_group[1:] != sorted_group[:-1]
    return order[first]


def position_in_group(group: Tensor, order: Tensor) -> Tensor:
    """The place 0, 1, ... of each element among the members of its group."""
    size = torch.bincount(group)
    start = (size.cumsum(0) - size)[group[order]]
    position = torch.empty_like(order)
    position[order] = torch.arange(order.numel()) - start
    return position
