"""Embeddings of texts, equal ones once and empty ones not at all."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyg_darec.profiles.convert import name_row, to_embeddings
from pyg_darec.profiles.encoder import TextEncoder


def embed_unique(
    embed: TextEncoder, texts: Sequence[str], labels: Sequence[Any], source: str
) -> Tensor:
    r"""Embeds equal texts once, and empty ones as zeros; not all are empty.

    Raises:
        ValueError: If the encoder returns anything but one finite vector per
            text, or one of zeros, which stands for no profile.
    """
    first = {text: n for n, text in reversed(list(enumerate(texts)))}
    unique = [text for text in dict.fromkeys(texts) if text.strip()]
    names = [labels[first[text]] for text in unique]
    x = to_embeddings(embed(unique), source, names).cpu()
    if x.size(0) != len(unique):
        raise ValueError(
            f'{source} needs one row per text (got {x.size(0)} rows for '
            f'{len(unique)} texts, the first of {names[0]!r:.80})'
        )
    if not getattr(embed.encoder, 'zeros_are_meant', False):
        _check_zeros(x, source, names)
    return x if len(unique) == len(texts) else spread(x, unique, texts)


def spread(x: Tensor, unique: Iterable[str], texts: Iterable[str]) -> Tensor:
    r"""The row of each text, of the rows of some; zeros for all others."""
    place = {text: n for n, text in enumerate(unique)}
    rows = torch.tensor([place.get(text, -1) for text in texts])
    out = x[rows]
    out[rows < 0] = 0
    return out


def _check_zeros(x: Tensor, source: str, names: Sequence[Any]) -> None:
    rows = (x == 0).all(dim=1).nonzero()
    if rows.numel() > 0:
        raise ValueError(
            f'{source} is nothing but zeros, which stand for no profile, at '
            f'{name_row(int(rows[0]), names)}, and so in {rows.numel()} of '
            f'{len(x)} rows; check the encoder, or pass an empty text where '
            'there is no profile (got 0.0)'
        )


def check_empty(num_empty: int, total: int, where: str) -> None:
    r"""Raises a :class:`ValueError` if there is no text, and warns of some
    that are empty.
    """
    if num_empty == total:
        raise ValueError(
            f'{where} needs to hold at least one text (got {total} empty ones)'
        )
    if num_empty > 0:
        warnings.warn(
            f'{where} holds {num_empty} empty texts of {total}; their '
            "embeddings are rows of zeros, which 'DaRecAlign' takes for no "
            'profile'
        )


def check_width(x: Tensor, width: int, label: Any, source: str) -> None:
    if x.size(1) != width:
        raise ValueError(
            f'{source} changes its width at {label!r:.80}; use one encoder, '
            'or another key for another encoder '
            f'(got {width}, then {x.size(1)})'
        )


def check_text(text: Any, row: int, where: str, label: Any = None) -> None:
    if not isinstance(text, str):
        name = f'row {row}' if label is None else f'row {row} ({label!r:.80})'
        raise ValueError(
            f"{where} holds no text at {name}; write one, or '' where there "
            f'is none (got {text!r:.80})'
        )
