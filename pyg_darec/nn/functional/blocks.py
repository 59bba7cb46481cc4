"""Matrices of all pairs, or with copies, in parts."""

from collections.abc import Iterator

from torch import Tensor

# Similarities in a block: as many as stay in the cache of a CPU, and enough to
# keep a GPU busy; but never so few rows that products with them are slow.
_BLOCK = {'cpu': 1 << 20, 'cuda': 1 << 24}
_MIN_ROWS = 64
# Values that are copied at once, 32 MiB of float32.
_VALUES = 1 << 23


def blocks(row: Tensor, col: Tensor) -> Iterator[slice]:
    r"""Slices of :obj:`row`, each for a block of its products with all of
    :obj:`col`.
    """
    block = _BLOCK.get(row.device.type, _BLOCK['cuda'])
    size = max(block // max(col.size(0), 1), _MIN_ROWS)
    size -= size % _MIN_ROWS
    for start in range(0, row.size(0), size):
        yield slice(start, start + size)


def row_blocks(x: Tensor, width: int | None = None) -> Iterator[slice]:
    r"""Slices of the rows of :obj:`x`, for what would otherwise need copies as
    large as all of it, or :obj:`width` values for each row.
    """
    width = x.size(1) if width is None else width
    size = max(_VALUES // max(width, 1), 1)
    for start in range(0, x.size(0), size):
        yield slice(start, start + size)
