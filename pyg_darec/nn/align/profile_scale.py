import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph

Pair = tuple[Tensor, Tensor]  # of users and of items
Response = Callable[[Pair], Pair]
"""What a model adds to its output, given what is added to its input."""

# Of the reference: the LightGCN with which the weight of profiles was chosen.
_LAYERS = 3


@torch.no_grad()
def profile_scale(
    graph: BipartiteGraph, added: Pair, response: Response
) -> float:
    r"""The factor that makes what profiles add to the output of a model as
    long as a sum of layers would,

    .. math::
        c = \frac{\Vert \sum_{l=0}^{3} \mathbf{A}^l \mathbf{P} \Vert}
        {\Vert f(\mathbf{E} + \mathbf{P}) - f(\mathbf{E}) \Vert},

    where :math:`\mathbf{P}` is added to the input embeddings
    :math:`\mathbf{E}` of the model :math:`f`, to two digits, which no order
    of summation changes; 1 if nothing is added.

    Args:
        graph (BipartiteGraph): The interactions :math:`\mathbf{A}`.
        added (tuple): What is added for users :math:`(U, d)` and for items
            :math:`(I, d)`.
        response (callable): Returns what that adds to the output.
    """
    x = total = added
    for _ in range(_LAYERS):
        x = graph.propagate(*x)
        total = total[0] + x[0], total[1] + x[1]
    both = response(added)
    wanted, found = _length(total), _length(both)
    if lost := _lost(added, both, response):
        warnings.warn(
            f'What profiles of {" and ".join(lost)} add to the embedding '
            'tables of the model does not reach its embeddings; keep tables '
            "that are no input of them as 'torch.nn.Parameter', and profiles "
            'are added to its output; a model that keeps embeddings from one '
            'call to the next has to compute them anew'
        )
    if not (0 < found < math.inf and 0 < wanted < math.inf):
        return 1.0
    return float(f'{wanted / found:.1e}')


def _lost(added: Pair, both: Pair, response: Response) -> list[str]:
    """Whose profiles change nothing."""
    user = response((added[0], torch.zeros_like(added[1])))
    dead = {
        'users': _length((added[0],)) > 0 == _length(user),
        'items': _length((added[1],)) > 0
        and all(x.equal(y) for x, y in zip(user, both, strict=True)),
    }
    return [side for side, is_dead in dead.items() if is_dead]


def _length(pair: tuple[Tensor, ...]) -> float:
    return math.hypot(*(float(x.double().norm()) for x in pair))
