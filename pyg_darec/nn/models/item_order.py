"""Whether users or items come first in a model's input embeddings."""

import math
import warnings
from collections.abc import Callable
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from pyg_darec.graph import BipartiteGraph
from pyg_darec.modes import evaluating
from pyg_darec.nn.call_with import call_with
from pyg_darec.nn.recommender import Recommender

Pair = tuple[Tensor, Tensor]  # of users and of items

# Enough for data of a few nodes; one does for thousands.
_MAX_PROBES = 8
# Six standard deviations of what rows of other nodes do by chance.
_CLEAR = 6 * math.sqrt(_MAX_PROBES)
# Four of them are enough where none is left.
_LIKELY = 4 * math.sqrt(_MAX_PROBES)
_TINY = 1e-30


@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.inference_mode(False)
def find_order(model: Recommender, graph: BipartiteGraph) -> bool:
    r"""Whether items come before users in the input embeddings of a model, by
    what it makes of changes of them; in evaluation mode, and without gradients.
    """
    names = model.embedding_names()
    tables = [attrgetter(name)(model).detach() for name in names]
    # One step for all rows, about as long as they are.
    generator = torch.Generator().manual_seed(0)
    step = torch.randn(tables[0].size(1), generator=generator)
    length = float(tables[0].square().mean().sqrt()) or 1.0
    step = length * step.to(tables[0])

    def change(is_moved: Tensor) -> tuple[Tensor, Tensor]:
        parts = is_moved.to(step.device).split([len(x) for x in tables])
        moved = {
            name: x + part[:, None] * step
            for name, x, part in zip(names, tables, parts, strict=True)
        }
        after = call_with(model, 'encode', moved, graph)
        user, item = (
            (x - y).float().norm(dim=1).cpu()
            for x, y in zip(after, before, strict=True)
        )
        return user, item

    # The random numbers of training are what they would be without this,
    # and so are widths that are open, which draw some.
    is_open = any(is_lazy(param) for param in model.parameters())
    devices = [graph.device] if graph.device.type == 'cuda' else []
    with (
        evaluating(model),
        torch.random.fork_rng(devices, enabled=not is_open),
    ):
        before = model.encode(graph)
        return _has_items_first(graph.num_users, graph.num_items, change)


def _has_items_first(
    num_users: int, num_items: int, change: Callable[[Tensor], Pair]
) -> bool:
    r"""Whether items come before users in the rows of a model's input
    embeddings. A random half of the rows is moved, and then the other one: the
    output of a node should change more with the half of its own row, or less
    where that makes up for its neighbours. :obj:`False`, with a warning,
    where that is so of neither order.

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
    likely = max(abs(users_first), abs(items_first))
    if likely < _LIKELY:
        warnings.warn(
            'Whether users or items come first in the embedding table of the '
            'model cannot be told, as rows make no difference to their own '
            'nodes; users are taken to be first, and profiles of users and '
            "items would be exchanged if they are not: put 'user' and "
            "'item' into the names of two tables, or users first"
        )
        return False
    return abs(items_first) == likely


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
