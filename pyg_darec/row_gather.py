"""A sparse product on a GPU, in Triton: on large graphs, cuSPARSE takes two to
three times as long, as ``benchmarks/gpu.py`` shows.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

# Edges of a row that one program adds up; what is left of longer rows is
# shared among others, so that no program has much more to do than the rest.
_MAX_EDGES = 512
_EDGES, _WIDTH = 8, 128  # of a tile
# With fewer edges, launching a product from Python takes longer than computing
# it, and cuSPARSE is launched faster.
_MIN_EDGES = 1 << 19
_DTYPES = torch.float32, torch.float64


@cache
def _has_triton() -> bool:
    return find_spec('triton') is not None


def can_gather(matrix: Sequence[Tensor], x: Tensor) -> bool:
    r"""Whether :func:`gather_rows` takes this product, and is faster."""
    return (
        x.is_cuda
        and x.dtype in _DTYPES
        and matrix[2].dtype == x.dtype
        and matrix[1].numel() >= _MIN_EDGES
        and x.numel() > 0
        and _has_triton()
    )


def gather_rows(matrix: Sequence[Tensor], x: Tensor) -> Tensor:
    r"""The product of a sparse matrix, given as row pointers, columns and
    values, and :obj:`x`. Nothing is read from the device, and the result
    depends on the order of edges in rows that are longer than 512 only.

    Args:
        matrix: Row pointers :math:`(N + 1)` and columns :math:`(E)` in
            int32, and values :math:`(E)`.
        x (torch.Tensor): A dense matrix of shape :math:`(M, d)`.

    Shapes:
        - **output:** :math:`(N, d)`
    """
    from pyg_darec.row_gather_kernels import add_long_rows, sum_rows

    ptr, col, value = (part.contiguous() for part in matrix)
    x = x.contiguous()
    num_rows, dim = ptr.numel() - 1, x.size(1)
    out = x.new_empty(num_rows, dim)
    if num_rows == 0:
        return out
    width = min(1 << (dim - 1).bit_length(), _WIDTH)
    num_tiles = -(-dim // width)
    sizes: dict[str, Any] = {
        'dim': dim,
        'max_edges': _MAX_EDGES,
        'edges': _EDGES,
        'width': width,
        'num_warps': 2,
    }
    sum_rows[num_rows, num_tiles](ptr, col, value, x, out, **sizes)
    # At most one long row has edges of a piece of so many that are not among
    # its first.
    num_pieces = -(-col.numel() // _MAX_EDGES)
    if num_pieces > 1:
        add_long_rows[num_pieces, num_tiles](
            ptr, col, value, x, out, num_rows, **sizes
        )
    return out
