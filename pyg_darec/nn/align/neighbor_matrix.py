import torch
from torch import Tensor

from pyg_darec.nn.functional import nearest_neighbors, normalize
from pyg_darec.sparse import CSR, Matrix


def neighbor_matrix(x: Tensor, k: int, weight: float) -> Matrix:
    r"""The identity and :obj:`weight` times the similarities of the
    :obj:`k` nearest rows of :obj:`x` :math:`(N, d)`, with rows and columns
    scaled as in a graph convolution: symmetric.
    """
    num, x = x.size(0), normalize(x)
    node = torch.arange(num, device=x.device)
    col, value = nearest_neighbors(x, k)
    # Opposite profiles are no neighbours, and missing ones of nobody.
    near = value > 0
    row = node.unsqueeze(1).expand_as(col)[near]
    col, value = col[near], value[near]
    # A pair that found each other is the same pair twice.
    key = torch.cat([row * num + col, col * num + row])
    key, place = key.unique(return_inverse=True)
    value = value.new_zeros(key.numel()).scatter_(0, place, value.repeat(2))
    row, col = key // max(num, 1), key % max(num, 1)
    total = value.new_zeros(num).index_add_(0, row, value)
    value = weight * value * (total[row] * total[col]).rsqrt()
    row, col = torch.cat([node, row]), torch.cat([node, col])
    value = torch.cat([torch.ones_like(node, dtype=value.dtype), value])
    order = torch.argsort(row * num + col)
    csr = CSR.from_edges(row[order], col[order], (num, num), is_sorted=True)
    return csr.weighted(value[order])
