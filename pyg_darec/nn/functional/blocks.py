"""A matrix of all pairs, in parts."""

from collections.abc import Iterator

from torch import Tensor

# Similarities in a block: as many as stay in the cache of a CPU, and enough to
# keep a GPU busy; but never so few rows that products with them are slow.
_BLOCK = {'cpu': 1 << 20, 'cuda': 1 << 24}
_MIN_ROWS = 64


def blocks(row: Tensor, col: Tensor) -> Iterator[slice]:
    r"""Slices of :obj:`row`, each for a block of its products with all of
    :obj:`col`.
    """
    block = _BLOCK.get(row.device.type, _BLOCK['cuda'])
    size = max(block // max(col.size(0), 1), _MIN_ROWS)
    size -= size % _MIN_ROWS
    for start in range(0, row.size(0), size):
        yield slice(start, start + size)
