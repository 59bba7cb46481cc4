import math

import torch
from torch import Tensor

from pyg_darec.nn.functional.kmeans import lloyd

# Similarities in a block, 32 MiB of float32.
_BLOCK = 1 << 23
# Above this number of points, neighbours are sought in cells of at most so
# many, and of about as many as _CELL. In 64 cells of 31,479 embedded texts,
# 65 % of the nearest five are found, and what is found is 96 % as similar.
_MAX_EXACT = 1 << 14
_CELL = 1 << 12
# The centres of the cells are means of every so manieth point.
_STRIDE = 16


@torch.no_grad()
def nearest_neighbors(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    r"""The :obj:`k` other rows with the highest inner product for every row,
    best first, without an :math:`(N, N)` matrix.

    Exact for up to :math:`2^{14}` rows. More of them are first put into
    cells of about :math:`2^{12}` by k-means on a sample, and neighbours come
    from a row's own cell, so that the cost stays linear. A cell of more than
    :math:`2^{14}` rows, such as one of many equal rows, is cut into parts.
    Nothing is drawn: the same rows always have the same neighbours.

    Args:
        x (torch.Tensor): The points; unit rows make it the cosine.
        k (int): The number of neighbours, cut to :math:`N - 1`.

    Returns:
        Neighbours and their inner products; :obj:`-1` and :obj:`-inf` where
        a cell has too few rows.

    Shapes:
        - **x:** :math:`(N, d)`
        - **output:** :math:`(N, k)` and :math:`(N, k)`
    """
    num = x.size(0)
    k = min(k, max(num - 1, 0))
    index = torch.full((num, k), -1, device=x.device)
    value = x.new_full((num, k), -torch.inf)
    if k > 0:
        with torch.autocast(x.device.type, enabled=False):
            for cell in _cells(x):
                _search(x, cell, index, value)
    return index, value


def _cells(x: Tensor) -> list[Tensor]:
    num = x.size(0)
    if num <= _MAX_EXACT:
        return [torch.arange(num, device=x.device)]
    num_cells = math.ceil(num / _CELL)
    center = x[:: num // num_cells][:num_cells]
    _, center = lloyd(x[::_STRIDE].contiguous(), center, num_iters=5)
    cluster, _ = lloyd(x, center, num_iters=0)
    order = cluster.argsort(stable=True)
    sizes = torch.bincount(cluster, minlength=num_cells).tolist()
    parts = [
        part
        for cell in order.split(sizes)
        for part in cell.chunk(math.ceil(cell.numel() / _MAX_EXACT) or 1)
    ]
    return [part for part in parts if part.numel() > 1]


def _search(x: Tensor, cell: Tensor, index: Tensor, value: Tensor) -> None:
    inside = x[cell]
    k = min(index.size(1), cell.numel() - 1)
    size = max(_BLOCK // cell.numel(), 1)
    for start in range(0, cell.numel(), size):
        rows = cell[start : start + size]
        dots = inside[start : start + size] @ inside.t()
        # A row is not its own neighbour.
        dots.diagonal(offset=start).fill_(-torch.inf)
        best, place = dots.topk(k)
        index[rows, :k], value[rows, :k] = cell[place], best
