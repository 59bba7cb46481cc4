import math
import warnings
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_darec.checks import as_seed, as_time, check_choice
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT
from pyg_darec.held_out import held_out_keys
from pyg_darec.transforms.grouping import (
    first_of_group,
    position_in_group,
    sort_order,
)
from pyg_darec.transforms.relation import (
    check_hetero,
    check_other_relations,
    check_relation,
    list_options,
    take,
)

Strategy = Literal['random', 'leave_last', 'temporal']
TRAIN, VAL, TEST, DROPPED = 0, 1, 2, -1


@functional_transform('split_interactions')
class SplitInteractions(BaseTransform):
    r"""Splits the interactions of a relation into training, validation and
    test pairs (functional name: :obj:`split_interactions`).

    Training pairs stay in :obj:`edge_index`, held-out ones become
    :obj:`val_edge_label_index` and :obj:`test_edge_label_index` of the same
    relation. Every other attribute with one value per interaction is split
    along: :obj:`time` becomes :obj:`time`, :obj:`val_time` and
    :obj:`test_time`. Nodes stay as they are.

    A pair that occurs several times counts once, with the attributes of its
    earliest occurrence (of its first one if there is no time), so no pair is
    in two parts.

    * :obj:`'random'` splits the interactions of each user by
      :obj:`ratios`. The counts of a user are its targets rounded up or down
      at random, so that they are right on average and the whole split is
      close to :obj:`ratios`, as long as that gives each user a training
      pair: one is taken from the other parts where it does not.
    * :obj:`'leave_last'` holds out the last interaction of each user for
      testing and the one before it for validation; :obj:`ratios` is not
      used. Interactions at the same time are in random order.
    * :obj:`'temporal'` cuts at two moments, the same for everybody, at the
      quantiles that :obj:`ratios` gives. Interactions at the same moment
      stay together, and so ties make the earlier part larger.

    **Nobody is evaluated untrained.** Each user and item of a held-out pair
    has a training pair. In :obj:`'random'` and :obj:`'leave_last'`, a user
    with fewer interactions than there are parts stays in training
    completely, and an item without a training pair gets one of its held-out
    pairs back, chosen at random; if that is the last pair of a user in
    :obj:`'leave_last'`, the one before it goes back as well. So every node
    with interactions is trained. In :obj:`'temporal'`, moving a pair back
    would train on the future; held-out pairs of users or items that are new
    are dropped instead.

    **Nobody is shown what is held out.** Another relation may hold held-out
    pairs as well, for a model to pass messages over. From items to users, that
    is an error, whatever its name; from users to items, such as clicks beside
    purchases, a warning.

    Args:
        strategy (str, optional): One of :obj:`'random'`,
            :obj:`'leave_last'` and :obj:`'temporal'`.
            (default: :obj:`'random'`)
        ratios (tuple, optional): The shares of training, validation and
            test interactions. (default: :obj:`(0.6, 0.2, 0.2)`)
        seed (int, optional): The seed of all random choices. The global
            random state is neither used nor changed. (default: :obj:`0`)
        edge_type (tuple, optional): The relation to split.
            (default: :obj:`('user', 'rates', 'item')`)
        time_attr (str, optional): The attribute that holds the time of each
            interaction. (default: :obj:`'time'`)

    Shapes:
        - **input:** :obj:`edge_index` :math:`(2, E)`, time :math:`(E)`
        - **output:** :obj:`edge_index`, :obj:`val_edge_label_index` and
          :obj:`test_edge_label_index`, each :math:`(2, \cdot)`

    Raises:
        ValueError: If an argument is out of range, there is nothing to train
            on, the relation is split already, profiles were made from it or
            its reverse is stored, which would show the held-out pairs, or
            either of these as a sparse matrix, or a time is needed that is
            missing or not finite.
    """

    def __init__(
        self,
        strategy: Strategy = 'random',
        ratios: tuple[float, float, float] = (0.6, 0.2, 0.2),
        seed: int = 0,
        edge_type: EdgeType = EDGE_TYPE,
        time_attr: str = 'time',
    ) -> None:
        check_choice('strategy', strategy, Strategy)
        if len(ratios) != 3 or not all(0 <= r <= 1 for r in ratios):
            raise ValueError(
                "'ratios' needs three shares in [0, 1] for training, "
                f'validation and test (got {ratios})'
            )
        if not math.isclose(sum(ratios), 1, abs_tol=1e-6):
            raise ValueError(f"'ratios' needs to add up to 1 (got {ratios})")
        if ratios[0] == 0:
            raise ValueError(
                f"'ratios' leaves nothing to train on (got {ratios})"
            )
        self.strategy = strategy
        self.ratios = ratios
        self.seed = as_seed(seed)
        self.edge_type = edge_type
        self.time_attr = time_attr

    def forward(self, data: HeteroData) -> HeteroData:
        check_hetero(data, self.__class__.__name__)
        _, num_items = check_relation(data, self.edge_type)
        self._check_unsplit(data)
        store = data[self.edge_type]
        # On the CPU, so that a seed means the same split on every device.
        edge_index = store.edge_index.cpu().long()
        time = self._time(data, edge_index)

        pair = edge_index[0] * num_items + edge_index[1]
        kept = first_of_group(pair, sort_order(pair, time)).sort().values
        user, item = edge_index[:, kept]
        generator = torch.Generator().manual_seed(self.seed)
        if self.strategy == 'random':
            part = self._random(user, item, generator)
        elif self.strategy == 'leave_last':
            part = self._leave_last(user, item, time[kept], generator)
        else:
            part = self._temporal(user, item, time[kept])

        held_out = pair[kept][part > TRAIN]
        check_other_relations(data, self.edge_type, held_out, num_items)
        splits = {'': TRAIN, 'val_': VAL, 'test_': TEST}
        index = {k: kept[part == number] for k, number in splits.items()}
        for key in store.edge_attrs():
            value, dim = store[key], data.__cat_dim__(key, store[key], store)
            for prefix in splits:
                # PyG's name for pairs to score, not to pass messages over.
                held_out = prefix and key == 'edge_index'
                name = 'edge_label_index' if held_out else key
                store[prefix + name] = take(value, index[prefix], dim)
        self._warn_if_empty(index)
        return data

    def _random(
        self, user: Tensor, item: Tensor, generator: torch.Generator
    ) -> Tensor:
        degree = torch.bincount(user)
        # The only pair of an item has to be trained on: as the first of its
        # user it takes a training place instead of adding one.
        spare = torch.bincount(item)[item] > 1
        shuffle = torch.randperm(user.numel(), generator=generator)
        position = position_in_group(user, sort_order(user, spare, shuffle))
        # The pairs of a user are evenly spaced points on [0, 1), shifted at
        # random, and each part is an interval: every count is its target
        # rounded up or down, and its expectation is the target.
        shift = torch.rand(degree.numel(), generator=generator).double()
        point = (position + shift[user]) / degree[user]
        bounds = point.new_tensor([self.ratios[0], 1 - self.ratios[2]])
        part = torch.bucketize(point, bounds, right=True)
        num_parts = sum(ratio > 0 for ratio in self.ratios)
        part[(position == 0) | (degree[user] < num_parts)] = TRAIN
        part[_uncovered_items(part, item, generator)] = TRAIN
        return part

    def _leave_last(
        self,
        user: Tensor,
        item: Tensor,
        time: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        degree = torch.bincount(user)[user]
        # Items are often in the order of their numbers, which is none in time.
        tie = torch.randperm(user.numel(), generator=generator)
        position = position_in_group(user, sort_order(user, time, tie))
        last, second_last = position == degree - 1, position == degree - 2
        part = torch.full_like(user, TRAIN)
        part[last & (degree >= 3)] = TEST
        part[second_last & (degree >= 3)] = VAL
        part[_uncovered_items(part, item, generator)] = TRAIN
        # Nothing that is trained on may come after what is held out.
        trained_last = torch.zeros(int(user.max()) + 1, dtype=torch.bool)
        trained_last[user[last & (part == TRAIN)]] = True
        part[trained_last[user]] = TRAIN
        return part

    def _temporal(self, user: Tensor, item: Tensor, time: Tensor) -> Tensor:
        ordered, n = time.sort().values, time.numel()
        ends = [self.ratios[0] * n, (1 - self.ratios[2]) * n]
        cuts = [ordered[max(round(end), 1) - 1] for end in ends]
        part = (time > cuts[0]).long() + (time > cuts[1]).long()
        for node in (user, item):
            part[~_trained(part, node)] = DROPPED
        return part

    def _time(self, data: HeteroData, edge_index: Tensor) -> Tensor:
        num_edges = edge_index.size(1)
        time = data[self.edge_type].get(self.time_attr)
        needed = self.strategy != 'random'
        if time is None and not needed:
            return torch.zeros(num_edges)
        where = f"'{self.time_attr}' of {self.edge_type}"
        if time is None:
            raise ValueError(
                f"{where} is missing: strategy '{self.strategy}' needs the "
                "time of each interaction; set it or use 'random' "
                f'(got {list(data[self.edge_type].keys())})'
            )
        time = as_time(time, num_edges, where).cpu()
        bad = (~time.isfinite()).nonzero()
        if needed and bad.numel() > 0:
            position = int(bad[0])
            user, item = edge_index[:, position].tolist()
            raise ValueError(
                f'{where} is not finite at interaction {position}, user '
                f'{user} and item {item}; remove such interactions or set '
                f'their time (got {time[position].item()})'
            )
        return time

    def _check_unsplit(self, data: HeteroData) -> None:
        src, _, dst = self.edge_type
        held_out = held_out_keys(data, self.edge_type)
        if held_out:
            raise ValueError(
                f'{self.edge_type} is split already; split the complete '
                f'interactions, once (got {held_out})'
            )
        for node_type in (src, dst):
            if PROFILE_SPLIT in data[node_type]:
                raise ValueError(
                    f"The profiles of '{node_type}' were made from "
                    'interactions and would tell those that are held out; '
                    'split first, and then make profiles (got '
                    f"data['{node_type}'].{PROFILE_SPLIT})"
                )
        if data[self.edge_type].edge_index.size(1) == 0:
            raise ValueError(
                f'{self.edge_type} leaves nothing to train on (got 0 '
                'interactions)'
            )

    def _warn_if_empty(self, index: dict[str, Tensor]) -> None:
        asked = {'': True, 'val_': True, 'test_': True}
        if self.strategy != 'leave_last':
            asked = {k: r > 0 for k, r in zip(asked, self.ratios, strict=True)}
        empty = [
            f'{prefix}edge_label_index'
            for prefix, kept in index.items()
            if asked[prefix] and kept.numel() == 0
        ]
        if empty:
            warnings.warn(
                f'{self} holds out no pairs for {empty}: users have too few '
                'interactions, or too many happened at one time'
            )

    def __repr__(self) -> str:
        args = [f"strategy='{self.strategy}'", f'ratios={self.ratios}']
        args += [f'seed={self.seed}']
        args += list_options(
            self, SplitInteractions, ['time_attr', 'edge_type']
        )
        return f'{self.__class__.__name__}({", ".join(args)})'


def _trained(part: Tensor, node: Tensor) -> Tensor:
    """For each pair, whether its node occurs in a training pair."""
    trained = torch.zeros(int(node.max()) + 1, dtype=torch.bool)
    trained[node[part == TRAIN]] = True
    return trained[node]


def _uncovered_items(
    part: Tensor, item: Tensor, generator: torch.Generator
) -> Tensor:
    """One random pair of each item that has no training pair."""
    lost = (~_trained(part, item)).nonzero().flatten()
    lost = lost[torch.randperm(lost.numel(), generator=generator)]
    return lost[first_of_group(item[lost], sort_order(item[lost]))]
