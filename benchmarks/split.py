"""One split of interactions, for contenders with and without this library."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]


@dataclass
class Split:
    """Pairs of user and item, ``(2, E)`` each, without duplicates."""

    train: Pairs
    val: Pairs
    test: Pairs
    num_users: int
    num_items: int

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Split':
        with np.load(path) as file:
            pairs = {name: file[name] for name in ('train', 'val', 'test')}
            sizes = {k: int(file[k]) for k in ('num_users', 'num_items')}
        return cls(**pairs, **sizes)

    @classmethod
    def random(
        cls, num_users: int, num_items: int, num_pairs: int, seed: int = 0
    ) -> 'Split':
        """Pairs split 3:1:1 as those of RLMRec; some items are popular."""
        rng = np.random.default_rng(seed)
        popularity = 1 / np.arange(10, num_items + 10)
        cell = rng.choice(
            num_items, 3 * num_pairs, p=popularity / popularity.sum()
        )
        cell += num_items * rng.integers(num_users, size=3 * num_pairs)
        cell = rng.permutation(np.unique(cell))[:num_pairs]
        pairs = np.stack([cell // num_items, cell % num_items])
        cuts = [num_pairs * 3 // 5, num_pairs * 4 // 5]
        train, val, test = np.split(pairs, cuts, axis=1)
        return cls(train, val, test, num_users, num_items)

    @classmethod
    def yelp(cls, root: str) -> 'Split':
        from pyg_darec.as_graph import as_graph
        from pyg_darec.datasets import Yelp

        graph = as_graph(Yelp(root)[0])
        held_out = graph.edge_label_index
        return cls(
            graph.edge_index.numpy(),
            held_out['val'].numpy(),
            held_out['test'].numpy(),
            graph.num_users,
            graph.num_items,
        )
