"""Losses in which each row has to find its partner among others."""

import torch
from torch import Tensor

from pyg_darec.checks import check_constant, check_positive, check_shape
from pyg_darec.nn.functional.normalize import normalize
from pyg_darec.nn.functional.partition import (
    symmetric_log_partition,
    weighted_log_partition,
)


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    candidate: Tensor,
    temperature: float,
    weight: Tensor | None = None,
    multiplicity: Tensor | None = None,
) -> Tensor:
    r"""The InfoNCE loss of the `"Representation Learning with Contrastive
    Predictive Coding" <https://arxiv.org/abs/1807.03748>`_ paper with the
    cosine as similarity, summed over anchors,

    .. math::
        \mathcal{L} = \sum_i w_i \left( \log \sum_j m_j
        \exp(\cos(\mathbf{a}_i, \mathbf{c}_j) / \tau) -
        \cos(\mathbf{a}_i, \mathbf{p}_i) / \tau \right).

    Weights and multiplicities let repeated rows be given once. It stays
    finite at any temperature, for zero rows and for duplicates, and keeps no
    :math:`(A, C)` matrix. Differentiable once. Under bfloat16 autocast, the
    products over all pairs are in bfloat16 where :math:`\tau \geq 0.025`,
    and everything else in float32.

    Args:
        anchor (torch.Tensor): The anchors.
        positive (torch.Tensor): The positive of each anchor.
        candidate (torch.Tensor): What the positive competes with; the
            positive itself is expected among it.
        temperature (float): The temperature :math:`\tau`.
        weight (torch.Tensor, optional): How often each anchor counts.
            (default: :obj:`None`)
        multiplicity (torch.Tensor, optional): How often each candidate
            counts; positive. (default: :obj:`None`)

    Shapes:
        - **anchor**, **positive:** :math:`(A, d)`
        - **candidate:** :math:`(C, d)`
        - **weight:** :math:`(A)`
        - **multiplicity:** :math:`(C)`

    Raises:
        ValueError: If :obj:`temperature` is not positive, an input has
            another shape, or weights or multiplicities require a gradient.
    """
    check_positive(temperature=temperature)
    check_constant(weight=weight, multiplicity=multiplicity)
    check_shape(anchor.shape, positive=positive)
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    a = normalize(anchor.to(dtype)) / temperature
    p, c = normalize(positive.to(dtype)), normalize(candidate.to(dtype))
    attract = (a * p).sum(dim=-1)
    if weight is not None:
        attract = attract * weight.to(dtype)
    repel = weighted_log_partition(a, c, weight, multiplicity, 1 / temperature)
    return repel - attract.sum()


def symmetric_info_nce(
    x: Tensor,
    y: Tensor,
    temperature: float,
    pairs: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    r"""The InfoNCE loss in both directions, as in the `"Learning Transferable
    Visual Models From Natural Language Supervision"
    <https://arxiv.org/abs/2103.00020>`_ paper, summed over pairs
    :math:`\mathcal{P}` of rows,

    .. math::
        \mathcal{L} = -\sum_{(i, j) \in \mathcal{P}} \left( \log
        \frac{\exp(\cos(\mathbf{x}_i, \mathbf{y}_j) / \tau)}
        {\sum_{(\cdot, c) \in \mathcal{P}}
        \exp(\cos(\mathbf{x}_i, \mathbf{y}_c) / \tau)} + \log
        \frac{\exp(\cos(\mathbf{x}_i, \mathbf{y}_j) / \tau)}
        {\sum_{(c, \cdot) \in \mathcal{P}}
        \exp(\cos(\mathbf{x}_c, \mathbf{y}_j) / \tau)} \right).

    A row that is in several pairs competes as often, and is compared once. It
    is finite, keeps no :math:`(A, C)` matrix and takes bfloat16 as
    :func:`info_nce` does. Differentiable once.

    Args:
        x (torch.Tensor): One side.
        y (torch.Tensor): The other side.
        temperature (float): The temperature :math:`\tau`.
        pairs (tuple, optional): Of each pair, its row of :obj:`x` and its row
            of :obj:`y`; every row is in at least one. Without them, rows of
            the same number are pairs. (default: :obj:`None`)

    Shapes:
        - **x:** :math:`(A, d)`
        - **y:** :math:`(C, d)`
        - **pairs:** two of :math:`(P)`
        - **output:** :math:`()`

    Raises:
        ValueError: If :obj:`temperature` is not positive, or an input has
            another shape.
    """
    check_positive(temperature=temperature)
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, y = normalize(x.to(dtype)) / temperature, normalize(y.to(dtype))
    if pairs is None:
        check_shape(x.shape, y=y)
        first, second = x, y
        m, n = x.new_ones(x.size(0)), y.new_ones(y.size(0))
    else:
        row, col = pairs
        check_shape(row.shape, pairs=col)
        first, second = x.index_select(0, row), y.index_select(0, col)
        m, n = _count(row, x), _count(col, y)
    attract = (first * second).sum()
    if first.size(0) == 0:
        return attract
    repel = symmetric_log_partition(x, y, m, n, 1 / temperature)
    return repel - 2 * attract


def _count(index: Tensor, x: Tensor) -> Tensor:
    one = x.new_ones(index.size(0))
    return x.new_zeros(x.size(0)).index_add_(0, index, one)
