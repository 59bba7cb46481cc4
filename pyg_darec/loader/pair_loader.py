"""Epochs of (user, positive item, negative item)."""

import warnings
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import as_seed, check_choice, check_count
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.loader.in_batch_sampler import InBatchSampler
from pyg_darec.loader.negative_sampler import NegativeSampler
from pyg_darec.loader.seed import derive_seed

Negatives = Literal['uniform', 'popularity', 'in_batch']


class PairLoader:
    r"""Iterates over all training interactions in mini-batches
    :obj:`(user, pos, neg)`, each with a fresh negative item.

    An epoch is drawn at once, on the device of :obj:`graph`. It depends on
    :obj:`seed` and :attr:`epoch` only, and on no global state: setting
    :attr:`epoch` brings back any epoch as it was. The last, smaller batch is
    kept.

    Users who have interacted with every item teach a ranking nothing and
    have no negative item. Their interactions are left out, with a warning.

    Args:
        graph (BipartiteGraph or HeteroData): The training interactions.
        batch_size (int, optional): The number of interactions in a batch.
            (default: :obj:`4096`)
        shuffle (bool, optional): If set to :obj:`False`, interactions come
            sorted by user, then by item. (default: :obj:`True`)
        seed (int, optional): The seed of all epochs. (default: :obj:`0`)
        rank (int, optional): Which share of every epoch to iterate over,
            when several processes train together. (default: :obj:`0`)
        world_size (int, optional): The number of shares. All are equally
            large, so that up to :obj:`world_size - 1` interactions are left
            out of an epoch, and :obj:`batch_size` counts a batch of all
            shares together. (default: :obj:`1`)
        negatives (str, optional): Where negative items come from, none of
            which is ever a training interaction of the user: all other
            items alike (:obj:`'uniform'`), in proportion to a power of
            their degree (:obj:`'popularity'`,
            :class:`~pyg_darec.loader.NegativeSampler`), or the positive
            items of the other rows of the same batch and share
            (:obj:`'in_batch'`, :class:`~pyg_darec.loader.InBatchSampler`).
            (default: :obj:`'uniform'`)
        alpha (float, optional): The power for :obj:`'popularity'`.
            (default: :obj:`0.75`)

    Shapes:
        - **user**, **pos**, **neg:** :math:`(B)`, of dtype
          :obj:`torch.int64`

    Raises:
        ValueError: If there is nothing to train on: no interactions, or
            only those of users who have interacted with every item; or an
            argument is out of range.
    """

    def __init__(
        self,
        graph: HeteroData | BipartiteGraph,
        batch_size: int = 4096,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        negatives: Negatives = 'uniform',
        alpha: float = 0.75,
    ) -> None:
        check_count(batch_size=batch_size, world_size=world_size)
        if not 0 <= rank < world_size:
            raise ValueError(
                "'rank' needs to be at least 0 and below 'world_size', "
                f'{world_size} (got {rank!r})'
            )
        check_choice('negatives', negatives, Negatives)
        graph = as_graph(graph)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.seed = as_seed(seed)
        self.rank, self.world_size = rank, world_size
        self.negatives, self.alpha = negatives, alpha
        self.epoch = 0
        """The epoch that the next iteration draws; counts up with each."""

        self._sampler: NegativeSampler | InBatchSampler
        if negatives == 'in_batch':
            self._sampler = InBatchSampler(graph)
        else:
            uniform = negatives == 'uniform'
            self._sampler = NegativeSampler(graph, 0.0 if uniform else alpha)
        self._user, self._pos = _trainable(graph)
        self._num_pairs = self._user.numel() // world_size
        if self._num_pairs == 0:
            raise ValueError(
                'There is nothing to train on; attach training interactions '
                f'of users who have not interacted with every item (got '
                f'{graph}, {self._user.numel()} usable interactions, '
                f'{world_size} processes)'
            )

    @property
    def num_pairs(self) -> int:
        r"""The number of interactions in an epoch (of this share)."""
        return self._num_pairs

    @property
    def _step(self) -> int:
        return -(-self.batch_size // self.world_size)

    def __len__(self) -> int:
        return -(-self.num_pairs // self._step)

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        user, pos, neg = self._draw(epoch)
        for start in range(0, self.num_pairs, self._step):
            batch = slice(start, start + self._step)
            yield user[batch], pos[batch], neg[batch]

    def _draw(self, epoch: int) -> Batch:
        generator = torch.Generator(self._user.device)
        generator.manual_seed(derive_seed(self.seed, epoch))
        if isinstance(self._sampler, InBatchSampler):
            share = self._share(generator)
            user, pos = (
                x.index_select(0, share) for x in (self._user, self._pos)
            )
            # Each share has batches, and draws, of its own.
            seed = derive_seed(self.seed, epoch, self.rank + 1)
            generator.manual_seed(seed)
            neg = self._sampler.sample(user, pos, self._step, generator)
            return user, pos, neg
        # Drawn before shuffling: the search is faster for sorted users.
        neg = self._sampler.sample(self._user, generator)
        share = self._share(generator)
        user, pos, neg = (
            x.index_select(0, share) for x in (self._user, self._pos, neg)
        )
        return user, pos, neg

    def _share(self, generator: torch.Generator) -> Tensor:
        size, device = self._user.numel(), self._user.device
        if self.shuffle:
            order = torch.randperm(size, generator=generator, device=device)
        else:
            order = torch.arange(size, device=device)
        total = self.num_pairs * self.world_size
        return order[:total][self.rank :: self.world_size]

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(num_pairs={self.num_pairs}, '
            f'batch_size={self.batch_size}, shuffle={self.shuffle}, '
            f"seed={self.seed}, negatives='{self.negatives}')"
        )


def _trainable(graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
    user, item = graph.edge_index
    has_negative = graph.user_degree < graph.num_items
    if bool(has_negative.all()):
        return user, item
    num_users = int((~has_negative).sum())
    warnings.warn(
        f"'PairLoader' leaves out the interactions of {num_users} of "
        f'{graph.num_users} users, who have interacted with every one of the '
        f'{graph.num_items} items and have no negative item'
    )
    keep = has_negative[user]
    return user[keep], item[keep]
