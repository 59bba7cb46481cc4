import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph

# The share of the mean variance that is added to every variance.
_SHRINKAGE = 0.1


@torch.no_grad()
def canonical_maps(
    graph: BipartiteGraph, user: Tensor | None, item: Tensor | None, dim: int
) -> tuple[Tensor | None, Tensor | None]:
    r"""What profiles of users and profiles of items have in common, as far as
    interactions show it: the linear maps :math:`\mathbf{W}_u` and
    :math:`\mathbf{W}_i` of a canonical correlation analysis (`Hotelling, 1936
    <https://doi.org/10.2307/2333955>`_; with a ridge, Vinod, 1976) of the
    profiles at the two ends of an interaction,

    .. math::
        \mathbf{C}_u^{-1/2} \, \mathbf{X}_u^{\top} \tilde{\mathbf{A}}
        \mathbf{X}_i \, \mathbf{C}_i^{-1/2} = \mathbf{P} \mathbf{S}
        \mathbf{Q}^{\top}, \quad
        \mathbf{W}_u = \mathbf{S}_d^{1/2} \mathbf{P}_d^{\top}
        \mathbf{C}_u^{-1/2}, \quad
        \mathbf{W}_i = \mathbf{S}_d^{1/2} \mathbf{Q}_d^{\top}
        \mathbf{C}_i^{-1/2},

    with the normalised adjacency matrix :math:`\tilde{\mathbf{A}}`,
    :math:`\mathbf{C} = \mathbf{X}^{\top} \mathbf{X} + 0.1 \,
    \textrm{tr}(\mathbf{X}^{\top} \mathbf{X}) / r \, \mathbf{I}`, and the
    :math:`d` largest correlations. So :math:`\mathbf{W}_u \mathbf{x}_u` and
    :math:`\mathbf{W}_i \mathbf{x}_i` recommend by inner product, from
    profiles alone.

    Where one side has no vectors, the propagated ones of the other take their
    place. Where there are fewer correlations than
    :math:`d`, the other rows are zero.

    Args:
        graph (BipartiteGraph): The interactions.
        user (torch.Tensor, optional): A centred vector of each user
            :math:`(U, r)`, not all of them zero.
        item (torch.Tensor, optional): A centred vector of each item
            :math:`(I, r')`.
        dim (int): The width :math:`d` of what they are mapped to.

    Returns:
        The maps of shapes :math:`(d, r)` and :math:`(d, r')`, scaled so that
        what they make of the vectors has a root mean square length of one;
        :obj:`None` for a side without vectors.
    """
    if user is None and item is None:
        return None, None
    x = propagate_one_side(graph, item=item)[0] if user is None else user
    y = propagate_one_side(graph, user=user)[1] if item is None else item
    x_scale, y_scale = _whitening(x), _whitening(y)
    cross = (x.t() @ propagate_one_side(graph, item=y)[0]).cpu().double()
    left, strength, right = torch.linalg.svd(
        x_scale @ cross @ y_scale, full_matrices=False
    )
    root = strength[:dim].sqrt().unsqueeze(1)
    return (
        _finish(root * (left.t()[:dim] @ x_scale), user, dim),
        _finish(root * (right[:dim] @ y_scale), item, dim),
    )


def propagate_one_side(
    graph: BipartiteGraph,
    user: Tensor | None = None,
    item: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What one side sends to the other, and nothing comes back."""
    if user is None:
        assert item is not None
        user = item.new_zeros(graph.num_users, item.size(1))
    if item is None:
        item = user.new_zeros(graph.num_items, user.size(1))
    return graph.propagate(user, item)


def _whitening(x: Tensor) -> Tensor:
    # The matrices are small, and not every device has double precision.
    gram = (x.t() @ x).cpu().double()
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp(min=0) + _SHRINKAGE * values.mean()
    out: Tensor = vectors * values.rsqrt() @ vectors.t()
    return out


def _finish(weight: Tensor, x: Tensor | None, dim: int) -> Tensor | None:
    if x is None:
        return None
    weight = weight.to(x)
    length = (x @ weight.t()).square().sum(dim=1).mean().sqrt()
    out = x.new_zeros(dim, weight.size(1))
    out[: weight.size(0)] = weight / length
    return out
