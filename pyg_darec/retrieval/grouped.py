"""Top-k of wide rows by way of the maxima of groups."""

import torch
from torch import Tensor


def group_maxima(
    scores: Tensor, group: int, out: Tensor | None = None
) -> Tensor:
    r"""The maxima of groups of :obj:`group` columns. The :math:`n` groups
    of a row hold its columns :math:`j, j + n, j + 2n, \ldots`, so that whole
    vectors are compared.

    Shapes:
        - **scores:** :math:`(B, n \cdot g)`
        - **output:** :math:`(B, n)`
    """
    return torch.amax(scores.unflatten(1, (group, -1)), dim=1, out=out)


def grouped_topk(scores: Tensor, k: int, group: int) -> tuple[Tensor, Tensor]:
    r"""The :obj:`k` largest scores of each row and their columns, in no
    particular order, as exact as one :func:`torch.topk`: the best items are
    among the :obj:`k` groups with the highest maxima, and these are found
    in the same way.

    Args:
        scores (torch.Tensor): The scores.
        k (int): The number of columns to find.
        group (int): The number of columns in a group.

    Shapes:
        - **scores:** :math:`(B, W)`
        - **output:** :math:`(B, k)` each
    """
    width = scores.size(1)
    if width <= 2 * group * k or width % group > 0:
        return scores.topk(k, sorted=False)
    _, best = grouped_topk(group_maxima(scores, group), k, group)
    member = torch.arange(0, width, width // group, device=scores.device)
    column = (best.unsqueeze(1) + member.view(-1, 1)).flatten(1)
    score, place = scores.gather(1, column).topk(k, sorted=False)
    return score, column.gather(1, place)
