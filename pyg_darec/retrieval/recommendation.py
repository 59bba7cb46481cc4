from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval.nodes import Indices, as_index, node_ids, node_values

if TYPE_CHECKING:
    import pandas as pd


class Recommendation(NamedTuple):
    r"""The recommended items of each user, best first, and their scores.
    Where a user has fewer than :obj:`k` items left, :obj:`item` is
    :obj:`-1` and :obj:`score` is :obj:`-inf`.
    """

    item: Tensor
    score: Tensor

    def to_frame(
        self,
        data: HeteroData | BipartiteGraph,
        users: Indices | None = None,
        name: str | None = None,
        new_users: Sequence[Any] | None = None,
        new_items: Sequence[Any] | None = None,
    ) -> 'pd.DataFrame':
        r"""A table with one recommended item a row: the columns
        :obj:`user` and :obj:`item` with original ids, :obj:`rank` from 1,
        :obj:`name` where items have names, and :obj:`score`.

        .. code-block:: python

            recommend(model, data, users).to_frame(data, users)

        Args:
            data (torch_geometric.data.HeteroData or BipartiteGraph): The
                interactions. Where it has no ids, indices are written.
            users (Sequence[int] or torch.Tensor, optional): The users that
                were recommended to, :obj:`None` for all of them.
                (default: :obj:`None`)
            name (str, optional): The node attribute with the names of items.
                If :obj:`None`, :obj:`name`, else :obj:`profile`, if there is
                one. (default: :obj:`None`)
            new_users (Sequence, optional): The ids of the users of
                :func:`~pyg_darec.retrieval.recommend_cold`, instead of
                :obj:`users`. (default: :obj:`None`)
            new_items (Sequence, optional): The ids of new items.
                (default: :obj:`None`)

        Raises:
            ValueError: If the users or items are not those that were
                recommended, or items have no attribute :obj:`name`.
            ImportError: If :obj:`pandas` is not installed.
        """
        try:
            import pandas as pd
        except ImportError as e:
            raise ImportError(
                "'to_frame' needs pandas; run 'pip install pandas'"
            ) from e
        user_ids = list(node_ids(data, 'user'))
        if new_users is not None:
            user_ids = list(new_users)
        elif users is not None:
            index = as_index(users, len(user_ids), 'users', 'user')
            user_ids = [user_ids[n] for n in index.tolist()]
        if len(user_ids) != self.item.size(0):
            raise ValueError(
                "'users' needs to be what was passed to 'recommend', or "
                f"'new_users' one id a row (got {len(user_ids)} users for "
                f'{self.item.size(0)} rows)'
            )
        extra = [] if new_items is None else list(new_items)
        item_ids = [*node_ids(data, 'item'), *extra]
        if self.item.numel() > 0 and int(self.item.max()) >= len(item_ids):
            raise ValueError(
                "'new_items' needs one id for each new item that was "
                f'recommended from (got {len(extra)}, and item '
                f'{int(self.item.max())} of {len(item_ids)})'
            )
        row, rank = (self.item >= 0).nonzero(as_tuple=True)
        items = self.item[row, rank].tolist()
        columns: dict[str, list[Any]] = {
            'user': [user_ids[n] for n in row.tolist()],
            'rank': (rank + 1).tolist(),
            'item': [item_ids[n] for n in items],
        }
        names = item_names(data, name)
        if names is not None:
            names += [None] * len(extra)
            columns['name'] = [names[n] for n in items]
        columns['score'] = self.score[row, rank].tolist()
        return pd.DataFrame(columns)


def item_names(
    data: HeteroData | BipartiteGraph, attr: str | None = None
) -> list[Any] | None:
    r"""The names of items: the attribute :obj:`attr`, or the first one of
    :obj:`name` and :obj:`profile` that they have.

    Raises:
        ValueError: If they have no attribute :obj:`attr`.
    """
    for choice in ('name', 'profile') if attr is None else (attr,):
        values = node_values(data, 'item', choice)
        if values is not None:
            return values
    if attr is not None:
        raise ValueError(
            f"'name' needs to be an attribute of the items (got '{attr}')"
        )
    return None
