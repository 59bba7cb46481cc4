"""Checks of input that more than one door makes."""

import torch
from torch import Tensor


def check_index(
    name: str, index: Tensor, num_users: int, num_items: int
) -> None:
    integer = not (index.is_floating_point() or index.dtype == torch.bool)
    if index.dim() != 2 or index.size(0) != 2 or not integer:
        raise ValueError(
            f'The {name} interactions need to be an integer tensor of shape '
            f'(2, E) (got {index.dtype} of shape {tuple(index.shape)})'
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
    if x.dim() != 2 or x.size(0) != size or not x.is_floating_point():
        raise ValueError(
            f'The profile embeddings of {kind}s need to be a floating-point '
            f'tensor with {size} rows (got {x.dtype} of shape '
            f'{tuple(x.shape)})'
        )
    # A sum is finite only if every value is, and copies nothing.
    if not bool(x.sum(dtype=torch.float64).isfinite()):
        row = int((~x.isfinite()).any(dim=1).nonzero()[0])
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
        shape = tuple(value.shape)
        if value.dim() != 2 or not value.is_floating_point():
            raise ValueError(
                f'The {kind} embeddings need to be a floating-point matrix '
                f'(got {value.dtype} of shape {shape})'
            )
        if size is not None and value.size(0) != size:
            raise ValueError(
                f'The {kind} embeddings need one row per {kind}; the data '
                f'has {size} (got shape {shape})'
            )
    if user.size(1) != item.size(1):
        raise ValueError(
            'The user and item embeddings need the same width '
            f'(got {user.size(1)} and {item.size(1)})'
        )
