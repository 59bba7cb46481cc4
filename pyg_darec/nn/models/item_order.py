"""Whether users or items come first in a model's input embeddings."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # of users and of items

# Enough for data of a few nodes; one does for thousands.
_MAX_PROBES = 8
# Six standard deviations of what rows of other nodes do by chance.
_CLEAR = 6 * math.sqrt(_MAX_PROBES)
_TINY = 1e-30


def has_items_first(
    num_users: int, num_items: int, change: Callable[[Tensor], Pair]
) -> bool:
    r"""Whether items come before users in the rows of a model's input
    embeddings. A random half of the rows is moved, and then the other one: the
    output of a node should change more with the half of its own row, or less
    where that makes up for its neighbours. :obj:`False` where that is so of
    neither order.

    Args:
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        change (callable): Takes which of the :math:`U + I` rows are moved,
            and returns by how much this changes the output of users
            :math:`(U)` and of items :math:`(I)`.
    """
    num = num_users + num_items
    generator = torch.Generator().manual_seed(0)
    users_first = items_first = 0.0
    for _ in range(_MAX_PROBES):
        is_moved = torch.rand(num, generator=generator) < 0.5
        user, item = (
            (x - y) / (x + y).clamp(min=_TINY)
            for x, y in zip(change(is_moved), change(~is_moved), strict=True)
        )
        users_first += _evidence(torch.cat([user, item]), is_moved, num_users)
        items_first += _evidence(torch.cat([item, user]), is_moved, num_items)
        if max(abs(users_first), abs(items_first)) > _CLEAR:
            break
    return abs(items_first) > max(abs(users_first), _CLEAR)


def _evidence(change: Tensor, is_moved: Tensor, split: int) -> float:
    """The correlation in either part of the rows, as a standard normal number
    where there is none.
    """
    total = 0.0
    for x, y in zip(
        change.tensor_split([split]),
        is_moved.tensor_split([split]),
        strict=True,
    ):
        x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
        size = float(x.norm() * y.norm())
        if 0 < size < math.inf:
            total += math.sqrt(x.numel() / 2) * float(x @ y) / size
    return total
