import random
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.checks import as_seed, as_time
from pyg_darec.graph import EDGE_TYPE, BipartiteGraph, EdgeType
from pyg_darec.hash_split import hash_split
from pyg_darec.profiles.cell import is_missing
from pyg_darec.profiles.prompt import Id
from pyg_darec.profiles.written_ids import WrittenIds, as_number

Reviews: TypeAlias = Iterable[tuple[Id, Id, str | None]]


class TrainingPairs:
    r"""All that prompts may know about who interacted with what.

    Of the relation, :obj:`edge_index` is read and, if it is there,
    :obj:`time_attr`. Held-out interactions are not looked at, and reviews pass
    only if their pair is a training pair.

    Args:
        data (HeteroData): The split data.
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
        seed (int, optional): Decides on the order of interactions without or
            of the same time. (default: :obj:`0`)
        time_attr (str, optional): The attribute that holds the time of each
            interaction. (default: :obj:`'time'`)

    Raises:
        ValueError: If there is not one time per interaction, or another
            attribute than :obj:`'time'` is named and missing.
    """

    def __init__(
        self,
        data: HeteroData,
        edge_type: EdgeType = EDGE_TYPE,
        seed: int = 0,
        time_attr: str = 'time',
    ) -> None:
        seed = as_seed(seed)
        graph = BipartiteGraph.from_data(data, edge_type).to('cpu')
        self.split = hash_split(graph)
        self.user_ids = node_ids(data, edge_type[0], graph.num_users)
        self.item_ids = node_ids(data, edge_type[2], graph.num_items)
        self._seed = seed
        self._edge_index = graph.edge_index
        self._time = _times(data, edge_type, graph, time_attr)

    def items_of_users(self) -> Iterator[list[int]]:
        r"""The items of each user, newest first."""
        return self._neighbors(0, self.user_ids)

    def users_of_items(self) -> Iterator[list[int]]:
        r"""The users of each item, newest first."""
        return self._neighbors(1, self.item_ids)

    def _neighbors(self, row: int, ids: list[Id]) -> Iterator[list[int]]:
        order = self._edge_index[row].argsort(stable=True)
        other = self._edge_index[1 - row][order].tolist()
        time = self._time[order].tolist()
        degree = torch.bincount(self._edge_index[row], minlength=len(ids))
        rank = _rank(self.user_ids if row == 1 else self.item_ids)
        end = 0
        for node_id, size in zip(ids, degree.tolist(), strict=True):
            start, end = end, end + size
            places = sorted(range(start, end), key=lambda p: rank[other[p]])
            # A generator for each id: other nodes have no say in its order.
            seed = f'{self._seed}/{as_number(node_id)!r}'
            random.Random(seed).shuffle(places)
            places.sort(key=time.__getitem__, reverse=True)
            yield [other[place] for place in places]

    def reviews(self, reviews: Reviews | None) -> dict[tuple[int, int], str]:
        r"""The reviews of training pairs by user and item index. Ids match if
        they are written alike, :obj:`7` and :obj:`'7'`.

        Args:
            reviews (list, optional): Triples of user id, item id and text.
                Those without a text (:obj:`None`, NaN, white space) are
                skipped; several of one pair are joined.

        Raises:
            ValueError: If a row is no triple or its text not a string, or if
                there are reviews and none belongs to a training pair. A
                warning tells how many name no user or item of the data.
        """
        if reviews is None:
            return {}
        users, items = WrittenIds(self.user_ids), WrittenIds(self.item_ids)
        out: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        row, first = -1, None
        unknown: list[tuple[Any, Any]] = []
        num_items = len(self.item_ids)
        key = self._edge_index[0] * num_items + self._edge_index[1]
        pairs = set(key.tolist())
        for row, review in enumerate(reviews):
            user_id, item_id, text = _check_review(row, review)
            first = first or (user_id, item_id)
            user, item = users.find(user_id), items.find(item_id)
            if user < 0 or item < 0:
                unknown.append((user_id, item_id))
                continue
            if user * num_items + item not in pairs:
                continue  # held out, or of no interaction
            if text.strip():
                out[user, item].append(text)
            else:
                out.setdefault((user, item), [])
        if row >= 0 and not out:
            raise ValueError(
                f'None of the {row + 1} reviews belongs to a training '
                'interaction; pass ids as they are in '
                f'data[node_type].id, like {self.user_ids[:2]} and '
                f'{self.item_ids[:2]} (got {first} first)'
            )
        if unknown:
            warnings.warn(
                f'{len(unknown)} of {row + 1} reviews name a user or an item '
                'that the data do not have, and are left out; pass ids as '
                'they are in data[node_type].id, like '
                f'{self.user_ids[:2]} and {self.item_ids[:2]} '
                f'(got {unknown[0]} first)'
            )
        return {pair: '\n'.join(texts) for pair, texts in out.items() if texts}


def node_ids(data: HeteroData, node_type: str, size: int) -> list[Id]:
    r"""The ids of the nodes of a type; their indices if they have none.

    Raises:
        ValueError: If there are more or fewer ids than nodes, or two are the
            same.
    """
    if 'id' not in data[node_type]:
        return list(range(size))
    ids = data[node_type].id
    ids = ids.tolist() if isinstance(ids, Tensor | np.ndarray) else list(ids)
    ids = [x.item() if isinstance(x, np.generic) else x for x in ids]
    if len(ids) != size or len(set(ids)) != size:
        raise ValueError(
            f"data['{node_type}'].id needs {size} different ids, one per node "
            f'(got {len(ids)}, of which {len(set(ids))} differ)'
        )
    return ids


def _rank(ids: list[Id]) -> list[int]:
    """The order of nodes, and where texts are numbers that of the numbers: a
    single id that is none makes texts of all, and prompts are to stay.
    """
    numbers = list(map(as_number, ids))
    if numbers == ids:
        return list(range(len(ids)))
    keys = [
        (0, x, '') if isinstance(x, int) else (1, 0, str(x)) for x in numbers
    ]
    order = sorted(range(len(ids)), key=keys.__getitem__)
    return sorted(range(len(ids)), key=order.__getitem__)


def _times(
    data: HeteroData, edge_type: EdgeType, graph: BipartiteGraph, attr: str
) -> Tensor:
    """When each interaction of the graph happened; the same for all if it is
    not known.
    """
    out = torch.zeros(graph.num_edges, dtype=torch.float64)
    store = data[edge_type]
    time = store.get(attr)
    if time is None and attr == 'time':
        return out
    user, item = store.edge_index.cpu().long()
    time = as_time(time, len(user), f"'{attr}' of {edge_type}")
    key = graph.edge_index[0] * graph.num_items + graph.edge_index[1]
    place = torch.searchsorted(key, user * graph.num_items + item)
    return out.scatter_reduce(
        0, place, time.cpu().double(), 'amax', include_self=False
    )


def _check_review(row: int, review: Any) -> tuple[Any, Any, str]:
    if not isinstance(review, tuple | list) or len(review) != 3:
        raise ValueError(
            "'reviews' needs triples of user id, item id and text; row "
            f'{row} is none (got {review!r:.80})'
        )
    user_id, item_id, text = review
    if is_missing(text):
        text = ''
    if not isinstance(text, str):
        raise ValueError(
            f"'reviews' needs texts; that of row {row}, of user {user_id!r} "
            f'and item {item_id!r}, is none (got {text!r:.80})'
        )
    return user_id, item_id, text
