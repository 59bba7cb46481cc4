"""What the neighbours of a node say, as one vector of unit length."""

import torch
from torch import Tensor

from pyg_darec.graph import KINDS, BipartiteGraph
from pyg_darec.nn.align.canonical import propagate_one_side
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.functional.blocks import row_blocks

# So many components are propagated together, to save memory.
_CHUNK = 64


def unweighted(graph: BipartiteGraph, dtype: torch.dtype) -> BipartiteGraph:
    return graph.with_weight(torch.ones_like(graph.weight, dtype=dtype))


def company(plain: BipartiteGraph, kind: str, x: Tensor) -> Tensor:
    r"""The :func:`directions` of the means over neighbours, which are the
    users or items :obj:`x` of a graph without weights.
    """
    # The direction of a sum is that of the mean.
    there = 1 - KINDS.index(kind)
    size = plain.num_users, plain.num_items
    total = x.new_empty(size[there], x.size(1))
    parts = x.split(_CHUNK, dim=1), total.split(_CHUNK, dim=1)
    for part, out in zip(*parts, strict=True):
        out.copy_(propagate_one_side(plain, **{kind: part})[there])
    return directions(total)


def directions(x: Tensor) -> Tensor:
    r"""Rows of unit length, less their mean, and of unit length again."""
    total, out = x.new_zeros(x.size(1)), torch.empty_like(x)
    for rows in row_blocks(x):
        total += normalize(x[rows]).sum(dim=0)
    known = x.any(dim=-1, keepdim=True)
    mean = total / known.sum().clamp(min=1)
    for rows in row_blocks(x):
        out[rows] = unit((normalize(x[rows]) - mean) * known[rows])
    return out


def unit(x: Tensor) -> Tensor:
    """Rows of unit length; those of nothing but rounding become zero."""
    square = x.square().sum(dim=-1, keepdim=True)
    return normalize(x * (square > torch.finfo(x.dtype).eps))
