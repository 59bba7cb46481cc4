"""What the contrastive backbones share."""

from torch import Tensor

from pyg_darec.nn.functional import info_nce

View = tuple[Tensor, Tensor]


def contrast_views(
    first: View,
    second: View,
    batch: tuple[Tensor, ...],
    temperature: float,
) -> Tensor:
    r"""The InfoNCE loss between two views of the users and items of a batch,
    each against all users or all items of the second view, summed over its
    index tensors and divided by its size.

    Args:
        first (tuple): User and item embeddings of the one view.
        second (tuple): User and item embeddings of the other.
        batch (tuple): Users, then one or more index tensors of items.
        temperature (float): The temperature.
    """
    total = first[0].new_zeros(())
    for n, index in enumerate(batch):
        a, b = first[min(n, 1)], second[min(n, 1)]
        # Repeated nodes are compared once and count as often as they occur.
        i, count = index.unique(return_counts=True)
        total = total + info_nce(a[i], b[i], b, temperature, count)
    return total / max(batch[0].numel(), 1)
