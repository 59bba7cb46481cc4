"""One pass over the training interactions."""

from itertools import chain
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader


def train_epoch(
    fabric: Fabric,
    module: Any,
    optimizer: Any,
    graph: BipartiteGraph,
    loader: PairLoader,
    epoch: int,
) -> dict[str, float]:
    r"""Trains on every batch of :obj:`loader` once and returns the means of
    the loss and its terms over all interactions.

    Nothing is read from the device before the end of the epoch, so that it
    never waits for Python.

    Raises:
        FloatingPointError: If a loss is not finite.
    """
    module.train()
    renew = getattr(module.module, 'renew', None)
    rows: list[dict[str, Tensor]] = []
    sizes: list[int] = []
    for step, batch in enumerate(loader):
        if renew is not None:
            renew(graph, epoch, step)
        optimizer.zero_grad()
        with fabric.autocast():
            loss, terms = module.loss(graph, batch)
        fabric.backward(loss)
        optimizer.step()
        rows.append({'loss': loss.detach(), **terms})
        sizes.append(batch[0].numel())

    # A term may start in the middle of an epoch: it was zero until then.
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    zero = torch.zeros((), device=graph.device)
    table = torch.stack(
        [
            torch.stack([row.get(name, zero).float() for name in names])
            for row in rows
        ]
    )
    table = cast(Tensor, fabric.all_reduce(table, reduce_op='mean'))
    table = table.cpu().double()
    _check_finite(table, names, epoch)
    weight = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    return dict(zip(names, (weight @ table).tolist(), strict=True))


def _check_finite(table: Tensor, names: list[str], epoch: int) -> None:
    finite = table.isfinite()
    if bool(finite.all()):
        return
    step = int((~finite).any(dim=1).nonzero()[0])
    values = dict(zip(names, table[step].tolist(), strict=True))
    wrong = [
        name for name, ok in zip(names, finite[step], strict=True) if not ok
    ]
    raise FloatingPointError(
        f'{wrong} stopped being finite in epoch {epoch}, step {step}; lower '
        f"'lr' or the weight of that term, and look at the data that it "
        f'reads. Checkpoints of earlier epochs are as they were '
        f'(got {values})'
    )
