import copy

import torch
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_darec.checks import as_seed, check_choice
from pyg_darec.graph import EDGE_TYPE, KINDS, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.held_out import held_out_keys, positive_pairs
from pyg_darec.transforms.keep_nodes import keep_nodes
from pyg_darec.transforms.relation import (
    check_hetero,
    check_relation,
    check_two_types,
    list_options,
)


@functional_transform('hold_out_nodes')
class HoldOutNodes(BaseTransform):
    r"""Holds out items or users with all their interactions, to find out how
    well a model serves those that it has never seen (functional name:
    :obj:`hold_out_nodes`).

    .. code-block:: python

        warm, cold = HoldOutNodes('item')(data)
        fit(model, warm)
        evaluate_cold(model, warm, cold, 'item')

    The first graph is :obj:`data` without them. The remaining nodes are
    numbered anew in the same order; everything that belongs to them, held-out
    pairs included, is kept.

    The second one has the nodes that were held out, with their profiles and
    other attributes, and all of the other side. Its
    :obj:`test_edge_label_index` are the pairs to look for, its
    :obj:`edge_index` those that are not to be ranked:

    * Of **items**, all their pairs are looked for, whatever part of a split
      they are in, if the user has a training interaction in the first graph;
      but none that their profiles were made from.
    * Of **users**, validation and test pairs are looked for. Training
      interactions are what profiles of users are made from, and not ranked.
      Where nothing is split, all pairs are looked for.

    **Nobody is shown what is held out.** Profiles of users that were made from
    interactions would name the held-out items, and are an error here: hold
    items out first and make profiles then, or remove those of users, whom
    :class:`~pyg_darec.nn.align.DaRecAlign` then describes by their items.

    Args:
        kind (str, optional): What is held out, :obj:`'item'` or
            :obj:`'user'`. (default: :obj:`'item'`)
        share (float, optional): The share of them. (default: :obj:`0.2`)
        seed (int, optional): The seed of the choice. The global random state
            is neither used nor changed. (default: :obj:`0`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If an argument is out of range, both sides are of one
            type, a relation of theirs is a sparse matrix, no node or no
            interaction would be left on either side, profiles of the other
            side were made from interactions, or own ones from some that are
            not training interactions.
    """

    def __init__(
        self,
        kind: str = 'item',
        share: float = 0.2,
        seed: int = 0,
        edge_type: EdgeType = EDGE_TYPE,
    ) -> None:
        check_choice('kind', kind, KINDS)
        if not 0 < share < 1:
            raise ValueError(f"'share' needs to be in (0, 1) (got {share})")
        self.kind = kind
        self.share = share
        self.seed = as_seed(seed)
        self.edge_type = edge_type

    def forward(self, data: HeteroData) -> tuple[HeteroData, HeteroData]:
        check_hetero(data, self.__class__.__name__)
        check_two_types(self.edge_type, self.__class__.__name__)
        axis = KINDS.index(self.kind)
        num = check_relation(data, self.edge_type)[axis]
        types = self.edge_type[::2]
        self._check_profiles(data, types[1 - axis], types[axis])
        num_cold = max(int(self.share * num), 1)
        if num_cold >= num:
            raise ValueError(
                f"{self} leaves no node of type '{types[axis]}' to train on "
                f'(got {num})'
            )
        generator = torch.Generator().manual_seed(self.seed)
        is_cold = torch.zeros(num, dtype=torch.bool)
        is_cold[torch.randperm(num, generator=generator)[:num_cold]] = True
        is_cold = is_cold.to(data[self.edge_type].edge_index.device)

        warm, cold = copy.copy(data), copy.copy(data)
        keep_nodes(warm, {types[axis]: ~is_cold})
        keep_nodes(cold, {types[axis]: is_cold})
        if warm[self.edge_type].edge_index.size(1) == 0:
            raise ValueError(
                f'{self} leaves no interaction to train on (got {data})'
            )
        # Profiles that were made from training interactions, as was checked,
        # are made from those that the first graph has.
        is_told = cold[types[axis]].pop(PROFILE_SPLIT, None) is not None
        self._set_pairs(warm, cold, is_told)
        if is_told:
            warm[types[axis]][PROFILE_SPLIT] = hash_split(warm, self.edge_type)
        return warm, cold

    def _set_pairs(
        self, warm: HeteroData, cold: HeteroData, is_told: bool
    ) -> None:
        store = cold[self.edge_type]
        keys = held_out_keys(cold, self.edge_type)
        pairs = [positive_pairs(store, key) for key in keys]
        seen = store.edge_index
        # What profiles were made from is not looked for.
        if not is_told and (self.kind == 'item' or not pairs):
            pairs, seen = [seen, *pairs], seen[:, :0]
        label = torch.cat(pairs, dim=1).unique(dim=1)
        if self.kind == 'item':
            trained = warm[self.edge_type].edge_index[0]
            label = label[:, torch.isin(label[0], trained)]
        if label.size(1) == 0:
            raise ValueError(
                f'{self} holds out no interaction to look for; raise '
                f"'share' (got {cold})"
            )
        store.clear()
        store.edge_index, store.test_edge_label_index = seen, label

    def _check_profiles(self, data: HeteroData, other: str, own: str) -> None:
        if PROFILE_SPLIT in data[other]:
            raise ValueError(
                f"The profiles of '{other}' were made from interactions and "
                f'would tell those of the {self.kind}s held out; hold out '
                'first, and then make profiles, or remove them (got '
                f"data['{other}'].{PROFILE_SPLIT})"
            )
        if PROFILE_SPLIT not in data[own]:
            return
        is_split = held_out_keys(data, self.edge_type)
        made_from = data[own][PROFILE_SPLIT]
        if not is_split or made_from != hash_split(data, self.edge_type):
            raise ValueError(
                f"The profiles of '{own}' were made from interactions that "
                'would be looked for; split first, and make profiles from '
                'what is left to train on (got '
                f"data['{own}'].{PROFILE_SPLIT})"
            )

    def __repr__(self) -> str:
        args = [f"'{self.kind}'", f'share={self.share}', f'seed={self.seed}']
        args += list_options(self, HoldOutNodes, ['edge_type'])
        return f'{self.__class__.__name__}({", ".join(args)})'
