"""What decides which epoch was best."""

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch.nn import Module

from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import evaluate
from pyg_darec.metrics.evaluate import held_out
from pyg_darec.metrics.ranking import METRICS


def choose_monitor(graph: BipartiteGraph, monitor: str | None) -> str | None:
    r"""The name of the metric to watch, or :obj:`None` if there are no
    validation interactions to compute one on.

    The default is :obj:`'Recall@20'`. Where there are fewer than 40 items it
    looks at half of them, as 20 would be all items or nearly so, and every
    model perfect.

    Raises:
        ValueError: If :obj:`monitor` is not a metric of that form, or ranks
            more items than there are, or every validation interaction is one
            of training.
    """
    pairs = graph.edge_label_index.get('val')
    if pairs is None or pairs.numel() == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # evaluations say it
        held_out(graph, 'val')  # now, and not after the first epochs
    if monitor is None:
        return f'Recall@{max(1, min(20, graph.num_items // 2))}'
    if re.fullmatch(rf'({"|".join(METRICS)})@[1-9]\d*', monitor) is None:
        raise ValueError(
            f"'monitor' needs to be one of {list(METRICS)} and a number of "
            f"items, such as 'NDCG@10' (got '{monitor}')"
        )
    if _k(monitor) > graph.num_items:
        raise ValueError(
            f"'monitor' ranks more items than there are; choose at most "
            f"{graph.num_items} (got '{monitor}')"
        )
    return monitor


def validate(
    model: Module, graph: BipartiteGraph, monitor: str
) -> dict[str, float]:
    r"""The validation metrics at the depth of :obj:`monitor`."""
    return evaluate(model, graph, split='val', ks=(_k(monitor),))


def check_watch(watch: Any) -> None:
    r"""Raises a :class:`TypeError` now, and not after the first epochs."""
    if watch is not None and not callable(watch):
        raise TypeError(
            "'watch' needs to be called after evaluations, as 'Diagnostics' "
            f'is (got {watch!r:.80})'
        )


def observe(
    watch: Callable[[], Mapping[str, float]], row: Mapping[str, float]
) -> dict[str, float]:
    r"""What a caller watches besides the losses and metrics in a row.

    Raises:
        ValueError: If it has the name of one of them.
    """
    values = {name: float(value) for name, value in watch().items()}
    taken = sorted(values.keys() & row.keys())
    if taken:
        raise ValueError(
            "'watch' needs other names than those of the losses and metrics "
            f'(got {taken})'
        )
    return values


def check_weights(model: Module, epoch: int) -> None:
    r"""Raises a :class:`FloatingPointError` before weights that are not
    finite get into a checkpoint: the loss shows them one step late.
    """
    for name, parameter in model.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise FloatingPointError(
                f"'{name}' stopped being finite in epoch {epoch}; lower 'lr' "
                'and look at the data that it meets. Checkpoints of earlier '
                f'epochs are as they were (got NaN or Inf)'
            )


def _k(monitor: str) -> int:
    return int(monitor.split('@')[1])
