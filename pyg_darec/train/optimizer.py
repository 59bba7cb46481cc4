"""What moves the weights."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch.nn import Embedding, EmbeddingBag, Module, Parameter
from torch.optim import LBFGS, Adam, AdamW, Optimizer

from pyg_darec.train.lazy_adam import LazyAdam

OptimizerName = Literal['adam', 'adamw', 'lazy_adam']
OptimizerLike = OptimizerName | Callable[..., Optimizer]


def make_optimizers(
    model: Module,
    optimizer: OptimizerLike,
    lr: float,
    weight_decay: float,
) -> list[Optimizer]:
    r"""The optimizers that :func:`~pyg_darec.train.fit` steps, which share
    the trainable parameters of :obj:`model`.

    Raises:
        ValueError: If there is nothing to train, the name is unknown, or the
            gradients of an embedding are sparse and the optimizer takes none.
    """
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    parameters = list(named.values())
    if not parameters:
        raise ValueError(
            f"'{type(model).__name__}' has no parameters to train; give one "
            f"'requires_grad=True' (got {model})"
        )
    if callable(optimizer):
        return [_call(optimizer, parameters, lr, weight_decay)]
    if optimizer not in ('adam', 'adamw', 'lazy_adam'):
        raise ValueError(
            "'optimizer' needs to be 'adam', 'adamw', 'lazy_adam' or a "
            "callable such as 'torch.optim.SGD', the class and no instance "
            f'(got {optimizer!r})'
        )
    # One pass over each table instead of a dozen.
    device = parameters[0].device.type
    is_fused = device in ('cpu', 'cuda') and not any(
        p.is_complex() for p in parameters
    )
    kwargs: dict[str, Any] = {'lr': lr, 'fused': is_fused}
    if optimizer == 'lazy_adam':
        if weight_decay:
            raise ValueError(
                "'lazy_adam' leaves rows without a gradient alone and decays "
                f'none; pass weight_decay=0 (got {weight_decay})'
            )
        tables = _embeddings(model, parameters)
        ids = {id(p) for p in tables}
        others = [p for p in parameters if id(p) not in ids]
        lazy: list[Optimizer] = [LazyAdam(tables, lr=lr)] if tables else []
        return [*lazy, Adam(others, **kwargs)] if others else lazy
    for module in model.modules():
        if isinstance(module, Embedding | EmbeddingBag) and module.sparse:
            raise ValueError(
                f"'{optimizer}' takes no sparse gradients; pass "
                f"optimizer='lazy_adam' for an embedding that has them "
                f'(got {module})'
            )
    if optimizer == 'adam':
        return [Adam(parameters, weight_decay=weight_decay, **kwargs)]
    # Biases, scales of a normalisation and temperatures are not to be small.
    decayed = [p for p in parameters if p.dim() > 1]
    kept = [p for p in parameters if p.dim() <= 1]
    groups = [
        {'params': group, 'weight_decay': decay}
        for group, decay in ((decayed, weight_decay), (kept, 0.0))
        if group
    ]
    return [AdamW(groups, **kwargs)]


def describe_optimizer(
    optimizer: OptimizerLike, optimizers: Iterable[Optimizer]
) -> str:
    r"""What has to be the same when a run continues: the name or, of a
    callable, what it has made.
    """
    if isinstance(optimizer, str):
        return optimizer
    return '; '.join(
        f'{type(made).__name__} {group}'
        for made in optimizers
        for group in (
            {k: v for k, v in group.items() if k != 'params'}
            for group in made.param_groups
        )
    )


def _call(
    optimizer: Callable[..., Optimizer],
    parameters: list[Parameter],
    lr: float,
    weight_decay: float,
) -> Optimizer:
    # Not all have a decay, and some have one by default.
    decay = {'weight_decay': weight_decay} if weight_decay else {}
    made = optimizer(parameters, lr=lr, **decay)
    if not isinstance(made, Optimizer):
        raise TypeError(
            "'optimizer' needs to return a 'torch.optim.Optimizer' when it is "
            f"called with parameters and 'lr' (got {made!r})"
        )
    if isinstance(made, LBFGS):
        raise ValueError(
            "'optimizer' needs to step once per batch, and LBFGS evaluates "
            "the loss several times; choose another, such as 'torch.optim.SGD' "
            f'(got {made!r})'
        )
    return made


def _embeddings(
    model: Module, parameters: list[Parameter]
) -> list[torch.Tensor]:
    tables = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, Embedding | EmbeddingBag)
    }
    return [p for p in parameters if id(p) in tables]
