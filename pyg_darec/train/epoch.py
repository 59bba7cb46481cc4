"""One pass over the training interactions."""

import time
from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader

# What is logged beside the terms of the loss.
_TAKEN = 'loss', 'epoch', 'seconds'


def train_epoch(
    fabric: Fabric,
    module: Any,
    optimizers: Sequence[Any],
    graph: BipartiteGraph,
    loader: PairLoader,
    epoch: int,
) -> dict[str, float]:
    r"""Trains on every batch of :obj:`loader` once and returns the
    :obj:`'epoch'`, the means of the loss and its terms over all interactions,
    and the :obj:`'seconds'` that it took. :obj:`module` is a
    :class:`~pyg_darec.train.training_loss.TrainingLoss`, set up by
    :obj:`fabric`.

    What is logged is read from the device at the end of the epoch only.

    Raises:
        FloatingPointError: If a loss is not finite.
        ValueError: If a term has a name that is taken.
    """
    start = time.perf_counter()
    module.train()
    renew = getattr(module.module.model, 'renew', None)
    rows: list[Tensor] = []
    names: list[list[str]] = []
    sizes: list[int] = []
    for step, batch in enumerate(loader):
        if renew is not None:
            renew(graph, epoch, step)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss, terms = module(graph, batch)
        _check_names(terms)
        fabric.backward(loss)
        for optimizer in optimizers:
            optimizer.step()
        # A copy, as the next step of a CUDA graph writes over its outputs.
        values = {'loss': loss.detach(), **terms}
        rows.append(torch.stack([x.float() for x in values.values()]))
        names.append(list(values))
        sizes.append(batch[0].numel())

    means = fabric.all_reduce(torch.cat(rows), reduce_op='mean')
    columns = list(dict.fromkeys(chain.from_iterable(names)))
    # A term may start in the middle of an epoch: it was zero until then.
    table = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    parts = cast(Tensor, means).cpu().double().split([len(n) for n in names])
    for row, part, own in zip(table, parts, names, strict=True):
        row[[columns.index(name) for name in own]] = part
    _check_finite(table, columns, epoch)
    weight = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    values = dict(zip(columns, (weight @ table).tolist(), strict=True))
    seconds = time.perf_counter() - start
    return {'epoch': epoch, **values, 'seconds': seconds}


def _check_names(terms: dict[str, Tensor]) -> None:
    # An epoch is taken for evaluated where it has a metric.
    taken = [name for name in terms if name in _TAKEN or '@' in name]
    if taken:
        raise ValueError(
            f'Terms of the loss need other names than {list(_TAKEN)} and '
            f"those of metrics, such as 'Recall@20', which are logged beside "
            f'them (got {taken})'
        )


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
