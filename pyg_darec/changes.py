"""Whether a tensor has changed since it was looked at."""

from torch import Tensor


def is_trained(x: Tensor) -> bool:
    r"""Whether an optimizer may change a tensor, of which fused ones count no
    version.
    """
    return x.is_leaf and x.requires_grad


def version_of(x: Tensor) -> int:
    r"""How often a tensor was changed in place; those made in inference mode
    do not count it.
    """
    return -1 if x.is_inference() else x._version


def stamp(x: Tensor) -> tuple[int, int]:
    r"""What differs once another tensor is there or this one was changed, as
    long as somebody holds it: an id may be given again.
    """
    return id(x), version_of(x)
