import torch
from torch import Tensor

# Distances in a block: as many as stay in the cache of a CPU, and enough to
# keep a GPU busy.
_BLOCK = {'cpu': 1 << 18, 'cuda': 1 << 24}
_FEW_CLUSTERS = 64


@torch.no_grad()
def kmeans(x: Tensor, num_clusters: int, num_iters: int = 10) -> Tensor:
    r"""Lloyd's algorithm from a k-means++ start (`"k-means++: The Advantages
    of Careful Seeding"
    <https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf>`_), drawn
    from PyTorch's global generator. Assignments are one matrix product each,
    and nothing waits for the device.

    A cluster that loses all its points keeps its centre; with fewer distinct
    points than clusters, some stay empty.

    Args:
        x (torch.Tensor): The points.
        num_clusters (int): The number of clusters :math:`K`. The start is a
            loop over them; for thousands of clusters, draw it in another
            way and call :func:`lloyd`.
        num_iters (int, optional): The number of updates of the centres.
            (default: :obj:`10`)

    Returns:
        The cluster of every point.

    Shapes:
        - **x:** :math:`(N, d)`
        - **output:** :math:`(N)`, of dtype :obj:`torch.long`

    Raises:
        ValueError: If :obj:`num_clusters` is not in :math:`[1, N]`.
    """
    if not 1 <= num_clusters <= x.size(0):
        raise ValueError(
            f"'num_clusters' needs to be between 1 and the number of nodes, "
            f'{x.size(0)} (got {num_clusters})'
        )
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return lloyd(x, _plus_plus(x, num_clusters), num_iters)[0]


@torch.no_grad()
def lloyd(
    x: Tensor, center: Tensor, num_iters: int = 10
) -> tuple[Tensor, Tensor]:
    r"""Lloyd's algorithm from a given start: moves every centre to the mean
    of the points nearest to it. One without points stays where it is.

    Args:
        x (torch.Tensor): The points.
        center (torch.Tensor): The centres to start from.
        num_iters (int, optional): The number of updates of the centres.
            (default: :obj:`10`)

    Returns:
        The cluster of every point, and the centres, of which its own is the
        nearest.

    Shapes:
        - **x:** :math:`(N, d)`
        - **center:** :math:`(K, d)`
        - **output:** :math:`(N)`, of dtype :obj:`torch.long`, and
          :math:`(K, d)`
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    center = center.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        # Far from the origin, squares would drown the distances.
        origin = x.sum(dim=0) / max(x.size(0), 1)
        x, start = x - origin, center - origin
        moved = start
        for _ in range(num_iters):
            cluster = _assign(x, moved)
            mean, count = cluster_means(x, cluster, center.size(0))
            moved = torch.where(count > 0, mean, moved)
        # One that stays is not rounded.
        center = torch.where(moved == start, center, moved + origin)
        return _assign(x, moved), center


def cluster_means(
    x: Tensor, cluster: Tensor, num_clusters: int
) -> tuple[Tensor, Tensor]:
    r"""The mean of every cluster, differentiable in :obj:`x`, and its
    number of points; an empty cluster has mean zero. Half precision is
    summed, and the means are returned, in float32.

    Shapes:
        - **x:** :math:`(N, d)`
        - **cluster:** :math:`(N)`
        - **output:** :math:`(K, d)` and :math:`(K, 1)`
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if num_clusters > _FEW_CLUSTERS:
        ones = x.new_ones(x.size(0), 1)
        total, count = (
            value.new_zeros(num_clusters, value.size(-1)).index_add(
                0, cluster, value
            )
            for value in (x, ones)
        )
        return total / count.clamp(min=1), count
    # As a product, no two points wait for each other to add to one sum.
    member = torch.nn.functional.one_hot(cluster, num_clusters).to(x.dtype)
    count = member.sum(dim=0).unsqueeze(-1)
    with torch.autocast(x.device.type, enabled=False):
        total = member.t() @ x
    return total / count.clamp(min=1), count


def _assign(x: Tensor, center: Tensor) -> Tensor:
    # |x|^2 is the same for every centre.
    square = center.square().sum(dim=-1)
    block = _BLOCK.get(x.device.type, _BLOCK['cuda'])
    size = max(block // center.size(0), 1)
    parts = [
        torch.addmm(square, part, center.t(), alpha=-2.0).argmin(dim=-1)
        for part in x.split(size)
    ]
    return torch.cat(parts)


def _plus_plus(x: Tensor, num_clusters: int) -> Tensor:
    center = x.new_empty(num_clusters, x.size(-1))
    index = torch.randint(x.size(0), (1,), device=x.device)
    distance = torch.full_like(x[:, 0], torch.inf)
    for k in range(num_clusters):
        center[k] = x.index_select(0, index)[0]
        gap = (x - center[k]).square().sum(dim=-1)
        distance = torch.minimum(distance, gap)
        # The winner of a race of exponentials with these rates is drawn in
        # proportion to them, over any number of points.
        race = torch.empty_like(distance).exponential_() / distance
        index = race.argmin(dim=0, keepdim=True)
    return center
