"""Whether profiles rank held-out items better than they can know."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph

# Online Retail: 0.13 with profiles of the training part, 0.89 with profiles
# of all interactions.
SUSPICIOUS_SHARE = 0.25
MIN_CONTROLS = 10
_RESAMPLES = 1000


@dataclass(frozen=True)
class ProfileRanking:
    r"""How a ranking by profiles alone treats held-out items.

    Args:
        held_out (float): The share of comparable items that a held-out item
            is ranked above, beyond what the training items explain; 0.5 if
            the profile knows nothing of it.
        training (float): The same for a training item.
        share (float): The lift of held-out items, as a share of the lift
            of training items: 0 where profiles were written without them, 1
            where they were written with them. NaN if the profiles say
            nothing of training items either.
        low (float): The lower end of its 95 % interval.
        high (float): The upper end.
        p_value (float): The probability of a :obj:`held_out` as large if
            held-out items were exchangeable with comparable ones.
        num_pairs (int): The number of held-out pairs it was measured on.
    """

    held_out: float
    training: float
    share: float
    low: float
    high: float
    p_value: float
    num_pairs: int

    @property
    def is_suspicious(self) -> bool:
        if np.isnan(self.share):
            return self.p_value < 0.01 and self.held_out > 0.5
        return self.low > SUSPICIOUS_SHARE


def rank_by_profiles(
    graph: BipartiteGraph,
    user_x: Tensor,
    item_x: Tensor,
    split: str = 'test',
    num_pairs: int = 5000,
    num_controls: int = 50,
    seed: int = 0,
) -> ProfileRanking | None:
    r"""Compares what profiles know of held-out items with what they know of
    training items.

    The score of a pair is the cosine :math:`s_{ui}` of its centred profile
    embeddings. It is compared with the scores of *controls*, items that the
    user never met and that are about as popular. That a held-out item scores
    higher shows nothing yet: it resembles the training items of the user.
    So what item profiles alone predict is subtracted,

    .. math::
        r_{ui} = s_{ui} - \beta_1 \cos(\bar{\mathbf{x}}_u, \mathbf{x}_i)
        - \beta_2 \max_{j \in N(u)} \cos(\mathbf{x}_j, \mathbf{x}_i),

    with the mean profile :math:`\bar{\mathbf{x}}_u` of the training items
    :math:`N(u)` and with :math:`\beta` fitted on controls, which nobody leaked.
    The *lift* of an item is its :math:`r` over that of its controls. Training
    pairs, each taken out of :math:`N(u)` before, show the lift of an item
    that the profile was written from.

    Args:
        graph (BipartiteGraph): The split interactions.
        user_x (torch.Tensor): Profile embeddings of users.
        item_x (torch.Tensor): Profile embeddings of items.
        split (str, optional): The held-out part.
            (default: :obj:`'test'`)
        num_pairs (int, optional): The most held-out pairs, and as many
            training pairs. (default: :obj:`5000`)
        num_controls (int, optional): The most controls of a pair.
            (default: :obj:`50`)
        seed (int, optional): The seed. (default: :obj:`0`)

    Shapes:
        - **user_x:** :math:`(U, D)`
        - **item_x:** :math:`(I, D)`

    Returns:
        The :class:`ProfileRanking`, or :obj:`None` if there are too few pairs.
    """
    sets = _PairSets(graph, user_x, item_x, num_controls, seed)
    held_out = graph.edge_label_index[split].cpu().numpy()
    keep = sets.degree[held_out[0]] >= 2
    held_out = held_out[:, keep]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(held_out.shape[1])[:num_pairs]
    users, items = held_out[:, np.sort(chosen)]
    place = (rng.random(len(users)) * sets.degree[users]).astype(np.int64)
    trained = sets.item[sets.start[users] + place]
    test = [sets.compare(u, i) for u, i in zip(users, items, strict=True)]
    train = [sets.compare(u, i) for u, i in zip(users, trained, strict=True)]
    both = [
        (u, a, b)
        for u, a, b in zip(users, test, train, strict=True)
        if a is not None and b is not None
    ]
    if len(both) < 2:
        return None
    user = np.array([u for u, _, _ in both])
    beta = _fit([x for _, a, b in both for x in (a, b)])
    lift, rank = _lift([a for _, a, _ in both], beta)
    lift_train, rank_train = _lift([b for _, _, b in both], beta)
    sizes = np.array([len(a) - 1 for _, a, _ in both])
    share, low, high = _share(user, lift, lift_train, rng)
    return ProfileRanking(
        held_out=float(rank.mean()),
        training=float(rank_train.mean()),
        share=share,
        low=low,
        high=high,
        p_value=_p_value(rank, sizes, rng),
        num_pairs=len(both),
    )


class _PairSets:
    """For a pair, the score and what predicts it, with those of controls."""

    def __init__(
        self,
        graph: BipartiteGraph,
        user_x: Tensor,
        item_x: Tensor,
        num_controls: int,
        seed: int,
    ) -> None:
        self.rng = np.random.default_rng(seed + 1)
        self.num_controls = num_controls
        self.num_items = graph.num_items
        self.user_x, self.item_x = user_x, item_x
        self.user_mean = user_x.mean(0, dtype=torch.float32).numpy()
        self.item_mean = item_x.mean(0, dtype=torch.float32).numpy()
        pairs = [graph.edge_index, *graph.edge_label_index.values()]
        known = torch.cat(pairs, dim=1).cpu().numpy()
        self.known = np.unique(known[0] * self.num_items + known[1])
        self.item = graph.edge_index[1].cpu().numpy()
        self.degree = graph.user_degree.cpu().numpy()
        self.start = np.cumsum(self.degree) - self.degree
        self.order = graph.item_degree.argsort(stable=True).cpu().numpy()
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(self.num_items)

    def compare(self, user: int, item: int) -> np.ndarray | None:
        """One row each for the item and its controls: the score, then the
        features.
        """
        controls = self._controls(user, item)
        if len(controls) < MIN_CONTROLS:
            return None
        start = self.start[user]
        seen = self.item[start : start + self.degree[user]]
        seen = seen[seen != item]
        y = self._unit(self.item_x, np.append(item, controls), self.item_mean)
        x = self._unit(self.user_x, np.array([user]), self.user_mean)[0]
        own = self._unit(self.item_x, seen, self.item_mean)
        centre = own.mean(0)
        centre /= max(float(np.linalg.norm(centre)), 1e-12)
        return np.stack([y @ x, y @ centre, (y @ own.T).max(1)], axis=1)

    def _controls(self, user: int, item: int) -> np.ndarray:
        width = max(self.num_controls, self.num_items // 30)
        middle = np.clip(self.rank[item], width, self.num_items - 1 - width)
        low = max(int(middle) - width, 0)
        near = self.order[low : int(middle) + width + 1]
        at = np.searchsorted(self.known, user * self.num_items + near)
        at = np.minimum(at, len(self.known) - 1)
        fresh = near[self.known[at] != user * self.num_items + near]
        return self.rng.permutation(fresh)[: self.num_controls]

    def _unit(
        self, x: Tensor, rows: np.ndarray, mean: np.ndarray
    ) -> np.ndarray:
        part = x[torch.from_numpy(rows)].float().cpu().numpy() - mean
        norm = np.linalg.norm(part, axis=1, keepdims=True)
        out: np.ndarray = part / np.maximum(norm, 1e-12)
        return out


def _fit(sets: list[np.ndarray]) -> np.ndarray:
    controls = [part[1:] - part[1:].mean(0) for part in sets]
    rows = np.concatenate(controls).astype(np.float64)
    score, features = rows[:, 0], rows[:, 1:]
    gram = features.T @ features
    gram += 1e-9 * max(np.trace(gram), 1e-9) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, features.T @ score))


def _lift(
    sets: list[np.ndarray], beta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much each first row is above the others, and above how many."""
    lifts, ranks = [], []
    for part in sets:
        rest = part[:, 0] - part[:, 1:] @ beta
        lifts.append(rest[0] - rest[1:].mean())
        above = (rest[0] > rest[1:]).mean()
        ranks.append(above + 0.5 * (rest[0] == rest[1:]).mean())
    return np.array(lifts), np.array(ranks)


def _share(
    user: np.ndarray,
    lift: np.ndarray,
    lift_train: np.ndarray,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """The ratio of the means and its interval, from users drawn again."""
    _, group = np.unique(user, return_inverse=True)
    size = int(group.max()) + 1
    sums = np.stack([np.bincount(group, v, size) for v in (lift, lift_train)])
    draws = rng.multinomial(size, np.full(size, 1 / size), _RESAMPLES)
    top, bottom = sums @ draws.T
    if np.quantile(bottom, 0.025) <= 0:
        return (float('nan'),) * 3
    low, high = np.quantile(top / bottom, [0.025, 0.975])
    return float(lift.sum() / lift_train.sum()), float(low), float(high)


def _p_value(
    rank: np.ndarray, sizes: np.ndarray, rng: np.random.Generator
) -> float:
    """Of any member of each set in place of the first."""
    drawn = [
        (rng.integers(0, sizes + 1) / sizes).mean() for _ in range(_RESAMPLES)
    ]
    return float(
        (1 + (np.array(drawn) >= rank.mean()).sum()) / (1 + len(drawn))
    )
