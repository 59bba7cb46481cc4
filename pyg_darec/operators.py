"""Parts of a step that a compiler takes as they are."""

from collections.abc import Callable, Sequence
from typing import Any

import torch


def operator(
    schema: str, fake: Callable[..., Any], tags: Sequence[torch.Tag] = ()
) -> Callable[[Callable[..., Any]], Any]:
    r"""Makes a function an operator of PyTorch, which
    :func:`torch.compile` calls without looking inside: for sparse tensors,
    which it does not know, and for loops over blocks, which it would unroll.

    The operator has no gradient of its own; call it in the two methods of a
    :class:`torch.autograd.Function`. It leaves its inputs as they were and
    returns none of them.

    Args:
        schema (str): Its name, arguments and results in PyTorch's notation,
            such as :obj:`'add(Tensor a, Tensor b) -> Tensor'`.
        fake (callable): Takes the same arguments, and returns empty tensors
            of the shapes, dtypes and strides of the results.
        tags (sequence, optional): What compilers are to know of it, such as
            that it draws random numbers. (default: :obj:`()`)
    """

    def register(function: Callable[..., Any]) -> Any:
        name = schema.partition('(')[0]
        # 'torch.library.custom_op' does the same, and its checks cost a call
        # on a small graph more than the products do.
        torch.library.define(
            f'pyg_darec::{name}', schema[len(name) :], tags=tags
        )
        torch.library.impl(
            f'pyg_darec::{name}', 'CompositeExplicitAutograd', function
        )
        torch.library.register_fake(f'pyg_darec::{name}', fake)
        return getattr(torch.ops.pyg_darec, name).default

    return register
