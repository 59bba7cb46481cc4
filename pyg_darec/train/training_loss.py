"""What a training step calls."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.graph import Batch, BipartiteGraph

CompileMode = Literal[
    'default',
    'reduce-overhead',
    'max-autotune',
    'max-autotune-no-cudagraphs',
]


class TrainingLoss(Module):
    r"""The loss of a model as a :meth:`forward`, which is what Lightning
    Fabric distributes and :func:`torch.compile` compiles.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, graph: BipartiteGraph, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss: tuple[Tensor, dict[str, Tensor]] = self.model.loss(graph, batch)
        return loss


def compile_loss(loss: Module, mode: bool | CompileMode) -> Module:
    r"""Compiles a loss, unless :obj:`mode` is :obj:`False`.

    Raises:
        ValueError: If :obj:`mode` is unknown.
    """
    if mode is False:
        return loss
    if mode is not True and mode not in get_args(CompileMode):
        raise ValueError(
            f"'compile' needs to be False, True or one of "
            f"{list(get_args(CompileMode))} (got '{mode}')"
        )
    options: dict[str, Any] = {}
    if mode is not True:
        # 'torch.compile' takes a mode or options.
        from torch._inductor import list_mode_options

        options = list_mode_options(mode)
    # The random numbers of a run that is not compiled.
    options = {**options, 'fallback_random': True}
    compiled: Module = torch.compile(loss, options=options)  # type: ignore[assignment]
    return compiled
