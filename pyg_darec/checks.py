"""Checks of input that more than one door makes."""

import operator
import re
from numbers import Real
from typing import Any, get_args

import torch
from torch import Tensor


def is_dense(x: Any) -> bool:
    return isinstance(x, Tensor) and x.layout == torch.strided


def without_addresses(text: str) -> str:
    r"""What an object prints as, the same in every process."""
    return re.sub(r' at 0x[0-9a-fA-F]+', '', text)


def describe(x: Any) -> str:
    if not isinstance(x, Tensor):
        return f"'{type(x).__name__}'"
    layout = '' if is_dense(x) else f'{x.layout} '
    return f'{layout}{x.dtype} of shape {tuple(x.shape)}'


def check_weight(**weights: Any) -> None:
    r"""Raises a :class:`ValueError` that names the first argument that is
    not a finite number of at least zero.
    """
    for name, value in weights.items():
        if not _is_real(value) or not 0 <= value < float('inf'):
            raise ValueError(
                f"'{name}' needs to be finite and not negative "
                f'(got {value!r:.80})'
            )


def check_positive(**values: Any) -> None:
    r"""Raises a :class:`ValueError` that names the first argument that is
    not a finite number above zero.
    """
    for name, value in values.items():
        if not _is_real(value) or not 0 < value < float('inf'):
            raise ValueError(
                f"'{name}' needs to be finite and positive (got {value!r:.80})"
            )


def _is_real(value: Any) -> bool:
    is_scalar = isinstance(value, Tensor) and value.numel() == 1
    return isinstance(value, Real) or is_scalar


def check_count(**counts: int | None) -> None:
    r"""Raises a :class:`ValueError` that names the first argument that is
    no integer of at least one; :obj:`None` is no count and passes.
    """
    for name, count in counts.items():
        if count is not None and as_count(count) < 1:
            raise ValueError(
                f"'{name}' needs to be a positive integer (got {count!r:.80})"
            )


def check_choice(name: str, value: Any, choices: Any) -> None:
    r"""Raises a :class:`ValueError` unless an argument is one of some values,
    or of those of a :obj:`Literal`.
    """
    choices = get_args(choices) or choices
    if value not in choices:
        raise ValueError(
            f"'{name}' needs to be one of {choices} (got {value!r})"
        )


def as_count(value: Any) -> int:
    r"""A plain integer, zero of what is none."""
    return _as_integer(value) or 0


def as_seed(seed: Any) -> int:
    r"""A plain integer.

    Raises:
        ValueError: If :obj:`seed` is not an integer in
            :math:`[0, 2^{63})`.
    """
    value = _as_integer(seed)
    if value is None or not 0 <= value < 2**63:
        raise ValueError(
            "'seed' needs to be an integer of at least 0 and below 2**63 "
            f'(got {seed!r})'
        )
    return value


def _as_integer(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def as_time(time: Any, num_edges: int, where: str) -> Tensor:
    r"""The times of interactions.

    Raises:
        ValueError: If :obj:`time` is no tensor with one value for each.
    """
    if not isinstance(time, Tensor) or time.shape != (num_edges,):
        got = tuple(time.shape) if isinstance(time, Tensor) else type(time)
        raise ValueError(
            f'{where} needs to be a tensor of shape ({num_edges},), one '
            f'time per interaction (got {got})'
        )
    return time


def check_constant(**tensors: Tensor | None) -> None:
    r"""Raises a :class:`ValueError` that names the first tensor that waits for
    a gradient, where none is computed.
    """
    for name, x in tensors.items():
        if x is not None and x.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"'{name}' is a constant, which gets no gradient; pass "
                f"'{name}.detach()' (got a tensor that requires one)"
            )


def check_shape(shape: torch.Size, **tensors: Tensor) -> None:
    r"""Raises a :class:`ValueError` that names the first tensor of another
    shape: where that is one row, PyTorch would repeat it.
    """
    for name, x in tensors.items():
        if x.shape != shape:
            raise ValueError(
                f"'{name}' needs shape {tuple(shape)} (got {tuple(x.shape)})"
            )


def check_index(
    name: str, index: Tensor, num_users: int, num_items: int
) -> None:
    is_integer = is_dense(index) and not (
        index.is_floating_point()
        or index.is_complex()
        or index.dtype == torch.bool
    )
    if not is_integer or index.dim() != 2 or index.size(0) != 2:
        raise ValueError(
            f'The {name} interactions need to be an integer tensor of shape '
            f'(2, E) (got {describe(index)})'
        )
    if index.size(1) == 0:
        return
    for row, kind, size in ((0, 'user', num_users), (1, 'item', num_items)):
        low, high = int(index[row].min()), int(index[row].max())
        if low < 0 or high >= size:
            raise ValueError(
                f'The {name} interactions name a {kind} that does not exist: '
                f'there are {size} (got index {low if low < 0 else high})'
            )


def check_embeddings(kind: str, x: Tensor, size: int) -> None:
    is_matrix = is_dense(x) and x.is_floating_point() and x.dim() == 2
    if not is_matrix or x.size(0) != size:
        raise ValueError(
            f'The profile embeddings of {kind}s need to be a floating-point '
            f'tensor with {size} rows (got {describe(x)})'
        )
    # A sum that is finite was made of finite values, and copies nothing;
    # one that is not may have overflowed.
    if bool(x.sum(dtype=torch.float64).isfinite()):
        return
    wrong = (~x.isfinite()).any(dim=1)
    if bool(wrong.any()):
        row = int(wrong.int().argmax())
        raise ValueError(
            f'The profile embeddings of {kind}s are not finite (got NaN or '
            f'Inf in row {row})'
        )


def check_scored(
    user: Tensor,
    item: Tensor,
    num_users: int | None = None,
    num_items: int | None = None,
) -> None:
    r"""Raises a :class:`ValueError` if embeddings are not two floating-point
    matrices of one width, with one row per node where the number of nodes is
    given.
    """
    for kind, value, size in (
        ('user', user, num_users),
        ('item', item, num_items),
    ):
        if not is_dense(value) or not (
            value.dim() == 2 and value.is_floating_point()
        ):
            raise ValueError(
                f'The {kind} embeddings need to be a floating-point matrix '
                f'(got {describe(value)})'
            )
        if size is not None and value.size(0) != size:
            raise ValueError(
                f'The {kind} embeddings need one row per {kind}; the data '
                f'has {size} (got shape {tuple(value.shape)})'
            )
    if user.size(1) != item.size(1):
        raise ValueError(
            'The user and item embeddings need the same width '
            f'(got {user.size(1)} and {item.size(1)})'
        )
