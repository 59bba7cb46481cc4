r"""Terms that compare the structure of two sets of embeddings of the same
nodes, from the `"DaRec: A Disentangled Alignment Framework for Large Language
Model and Recommender System" <https://arxiv.org/abs/2408.08231>`_ paper.
"""

from typing import Literal

import torch
from torch import Tensor

from pyg_darec.checks import check_shape
from pyg_darec.nn.functional.normalize import normalize

Matching = Literal['greedy', 'optimal']


def orthogonality(specific: Tensor, shared: Tensor) -> Tensor:
    r"""The orthogonality term of DaRec for one side,

    .. math::
        \mathcal{L}_{or} = \frac{1}{N} \sum_i
        \cos^2(\mathbf{e}^{sp}_i, \mathbf{e}^{sh}_i),

    zero where the two parts of every node are orthogonal.

    Shapes:
        - **specific**, **shared:** :math:`(N, d)`
        - **output:** :math:`()`

    Raises:
        ValueError: If the two have different shapes.
    """
    check_shape(specific.shape, shared=shared)
    cosine = (normalize(specific) * normalize(shared)).sum(dim=-1)
    return cosine.square().sum() / max(cosine.numel(), 1)


def gram_distance(x: Tensor, y: Tensor) -> Tensor:
    r"""The global structure term of DaRec: how far the cosine similarities
    among the rows of :obj:`x` are from those among the rows of :obj:`y`,

    .. math::
        \mathcal{L}_{glo} = \frac{1}{N^2} \left\Vert
        \mathbf{X} \mathbf{X}^{\top} - \mathbf{Y} \mathbf{Y}^{\top}
        \right\Vert_F^2 = \frac{1}{N^2} \left(
        \Vert \mathbf{X}^{\top} \mathbf{X} \Vert_F^2 -
        2 \Vert \mathbf{X}^{\top} \mathbf{Y} \Vert_F^2 +
        \Vert \mathbf{Y}^{\top} \mathbf{Y} \Vert_F^2 \right)

    with unit rows. Computed by the right-hand side: exact, in
    :math:`O(N d^2)` time and :math:`O(N d)` memory. Dividing by
    :math:`N^2` is our choice.

    Args:
        x (torch.Tensor): The one set of embeddings.
        y (torch.Tensor): The other, of any width.

    Shapes:
        - **x:** :math:`(N, d)`
        - **y:** :math:`(N, d')`
        - **output:** :math:`()`
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, y = normalize(x.to(dtype)), normalize(y.to(dtype))
    with torch.autocast(x.device.type, enabled=False):
        # Scaled before it is squared: N^2 overflows nothing this way.
        scale = 1 / max(x.size(0), 1)
        xx, xy, yy = (
            (scale * (a.t() @ b)).square().sum()
            for a, b in ((x, x), (x, y), (y, y))
        )
        return xx - 2 * xy + yy


def match_centers(x: Tensor, y: Tensor, method: Matching = 'greedy') -> Tensor:
    r"""Pairs every centre of :obj:`x` with one of :obj:`y`, each used once,
    by Euclidean distance. The paper gives no procedure.

    Args:
        x (torch.Tensor): The one set of centres.
        y (torch.Tensor): The other.
        method (str, optional): :obj:`'greedy'` takes the smallest remaining
            distance first, :obj:`'optimal'` minimises their sum.
            (default: :obj:`'greedy'`)

    Returns:
        The index in :obj:`y` of the match of every row of :obj:`x`.

    Shapes:
        - **x**, **y:** :math:`(K, d)`
        - **output:** :math:`(K)`

    Raises:
        ValueError: If :obj:`method` is unknown.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    with torch.no_grad():
        # Centres may be far away from the origin, and near to each other.
        mode = 'donot_use_mm_for_euclid_dist'
        distance = torch.cdist(x.to(dtype), y.to(dtype), compute_mode=mode)
        if method == 'optimal':
            # Takes long to import, and few have a use for it.
            from scipy.optimize import linear_sum_assignment

            match = linear_sum_assignment(distance.cpu().numpy())[1]
            return torch.from_numpy(match).to(x.device)
        if method != 'greedy':
            raise ValueError(
                f"'matching' needs to be 'greedy' or 'optimal' (got '{method}')"
            )
        num = x.size(0)
        match = torch.zeros(num, dtype=torch.long, device=x.device)
        for _ in range(num):
            # Index tensors rather than numbers: no wait for the device.
            flat = distance.argmin()
            row, col = flat // num, flat % num
            match.index_put_((row,), col)
            distance.index_fill_(0, row, torch.inf)
            distance.index_fill_(1, col, torch.inf)
        return match


def center_alignment(x: Tensor, y: Tensor) -> Tensor:
    r"""The local structure term of DaRec on matched preference centres, with
    :math:`S_{kl} = \cos(\mathbf{x}_k, \mathbf{y}_l)`,

    .. math::
        \mathcal{L}_{loc} = \frac{1}{K} \sum_k (S_{kk} - 1)^2 +
        \frac{1}{K (K - 1)} \sum_{k \neq l} S_{kl}^2.

    The paper gives the idea, this form is ours. One centre has no second
    sum.

    Shapes:
        - **x**, **y:** :math:`(K, d)`, matched row by row
        - **output:** :math:`()`

    Raises:
        ValueError: If the two have different shapes.
    """
    check_shape(x.shape, y=y)
    num = x.size(0)
    similarity = normalize(x) @ normalize(y).t()
    diagonal = similarity.diagonal()
    attract = (diagonal - 1).square().mean()
    repel = similarity.square().sum() - diagonal.square().sum()
    return attract + repel / max(num * (num - 1), 1)
