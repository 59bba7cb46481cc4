import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import normalize

# Agreement of so many standard deviations is taken for chance.
_CHANCE = 4.0
# The agreement, as a mean cosine, at which profiles are trusted by half. With
# less, profiles mixed with noise did more harm than good.
_HALF = 0.1
_NUM_SHUFFLES = 16
# The number of principal components in which what is in common is sought.
_COMPONENTS = 256
_UNKNOWN = -1.0


class ProfileSpace(Module):
    r"""What profile embeddings of one node type are reduced to: unit rows,
    centred, on their first principal components, and of these what profiles
    at the two ends of an interaction have in common
    (:func:`~pyg_darec.nn.align.canonical_maps`). Real profiles share most of
    their direction, which says nothing about a node, and most of the rest
    says nothing about behaviour.

    A row of zeros stands for a missing profile. It counts nowhere and stays
    zero.

    Beside the reduced profiles belongs a :attr:`trust` in :math:`[0, 1]`,
    how far the profiles agree with the interactions. With :math:`a` the mean
    cosine of two nodes that share a neighbour in the graph, and :math:`\mu`,
    :math:`\sigma` its mean and deviation when profiles are shuffled, and
    :math:`g = a - \mu`,

    .. math::
        \textrm{trust} = \max \left( 0, 1 - \left( \frac{4 \sigma}{g}
        \right)^2 \right) \cdot \frac{g^2}{g^2 + 0.1^2}, \quad g > 0,

    and else 0. The first factor is 0 for noise and 1 for any agreement that
    is no chance; the second shrinks what is sure, but little.

    All of it is found on the first graph, and saved with the weights.

    Args:
        llm_dim (int): The width :math:`D` of the profile embeddings.
        rank (int): The width :math:`r` of reduced profiles, cut to
            :math:`D`.

    Shapes:
        - **input:** :math:`(N, D)`
        - **output:** :math:`(N, r)`
    """

    center: Tensor
    basis: Tensor
    canonical: Tensor
    trust: Tensor

    def __init__(self, llm_dim: int, rank: int) -> None:
        super().__init__()
        width = min(max(rank, _COMPONENTS), llm_dim)
        self.register_buffer('center', torch.zeros(llm_dim))
        self.register_buffer('basis', torch.zeros(llm_dim, width))
        self.register_buffer('canonical', torch.zeros(min(rank, width), width))
        self.register_buffer('trust', torch.tensor(_UNKNOWN))

    @property
    def is_fitted(self) -> bool:
        return bool(self.trust != _UNKNOWN)

    def reset_parameters(self) -> None:
        self.trust.fill_(_UNKNOWN)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        r"""Finds centre and principal components of profile embeddings,
        scaled to a root mean square length of one.
        """
        x = normalize(x.to(self.basis.dtype))
        known = x.any(dim=-1, keepdim=True)
        center = x.sum(dim=0) / known.sum().clamp(min=1)
        x = (x - center) * known
        # Ascending, and all of them: as exact as the profiles are.
        _, vectors = torch.linalg.eigh(x.t() @ x)
        basis = vectors[:, -self.basis.size(1) :].flip(dims=[1])
        size = (x @ basis).square().sum() / known.sum().clamp(min=1)
        # Of profiles that are all the same, nothing but rounding is left.
        tiny = size <= torch.finfo(x.dtype).eps
        basis = torch.where(tiny, 0.0, basis * size.rsqrt())
        self.center.copy_(center)
        self.basis.copy_(basis)

    @torch.no_grad()
    def components(self, x: Tensor) -> Tensor:
        r"""The principal components of profile embeddings, the largest
        first.
        """
        dtype = self.basis.dtype
        x = normalize(x.to(dtype))
        known = x.any(dim=-1, keepdim=True)
        out: Tensor = ((x - self.center) * known) @ self.basis
        return out

    @torch.no_grad()
    def reduce(self, components: Tensor) -> Tensor:
        r"""What principal components have in common with the other side."""
        return components @ self.canonical.t()

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(self.components(x))


@torch.no_grad()
def agreement(
    graph: BipartiteGraph, user: Tensor, item: Tensor
) -> tuple[Tensor, Tensor]:
    r"""How far each side's vectors agree with the interactions: the trust
    that :class:`ProfileSpace` describes, of users and of items. Shuffles
    come from a generator of their own.

    Args:
        graph (BipartiteGraph): The interactions.
        user (torch.Tensor): A vector of each user :math:`(U, r)`, zero where
            there is none.
        item (torch.Tensor): A vector of each item :math:`(I, r')`.
    """
    generator = torch.Generator().manual_seed(0)  # the same for all devices
    plain = graph.with_weight(torch.ones_like(graph.weight, dtype=user.dtype))
    # The last column counts those that have a vector.
    pair = [_with_mark(normalize(x)) for x in (user, item)]

    def measure() -> Tensor:
        of_users, of_items = plain.propagate(*_same_width(*pair))
        # Users meet at items, and items at users.
        return torch.stack([_mean_cosine(of_items), _mean_cosine(of_users)])

    actual, shuffled = measure(), []
    for _ in range(_NUM_SHUFFLES):
        pair = [
            x[torch.randperm(x.size(0), generator=generator).to(x.device)]
            for x in pair
        ]
        shuffled.append(measure())
    null = torch.stack(shuffled)
    gap = actual - null.mean(dim=0)
    chance = _CHANCE * null.std(dim=0)
    # Not a number where both are zero, which is not above chance.
    sure = torch.where(gap > chance, 1 - (chance / gap).square(), 0.0)
    trust = sure * gap.square() / (gap.square() + _HALF**2)
    return trust[0], trust[1]


def _with_mark(x: Tensor) -> Tensor:
    return torch.cat([x, x.any(dim=-1, keepdim=True).to(x.dtype)], dim=-1)


def _same_width(user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    # Zeros go before the mark, where they change no cosine.
    width = max(user.size(1), item.size(1))
    pad = torch.nn.functional.pad
    return (
        pad(user, (width - user.size(1), 0)),
        pad(item, (width - item.size(1), 0)),
    )


def _mean_cosine(total: Tensor) -> Tensor:
    """The mean cosine of two members of a group, averaged over groups of at
    least two, from the sums of unit vectors and the sizes of groups.
    """
    size = total[:, -1]
    pairs = size * (size - 1)
    cosine = (total[:, :-1].square().sum(dim=-1) - size) / pairs.clamp(min=1)
    is_group = size > 1
    return (cosine * is_group).sum() / is_group.sum().clamp(min=1)
