"""Recommendations for given users."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph, as_graph
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.topk import check_k, masked_topk


class Recommendation(NamedTuple):
    r"""The recommended items of each user, best first, and their scores.
    Where a user has fewer than :obj:`k` items left, :obj:`item` is
    :obj:`-1` and :obj:`score` is :obj:`-inf`.
    """

    item: Tensor
    score: Tensor


def recommend(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    users: Sequence[int] | Tensor | None = None,
    k: int = 10,
    exclude_seen: bool = True,
) -> Recommendation:
    r"""Recommends the :obj:`k` items that :obj:`model` scores highest for
    each user.

    .. code-block:: python

        item, score = recommend(model, data, users=[0, 7], k=5)

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions.
        users (Sequence[int] or torch.Tensor, optional): The users to
            recommend to. If :obj:`None`, all users.
            (default: :obj:`None`)
        k (int, optional): The number of items per user.
            (default: :obj:`10`)
        exclude_seen (bool, optional): If set to :obj:`True`, leaves out the
            items that a user has training interactions with. Held-out
            interactions never leave an item out.
            (default: :obj:`True`)

    Shapes:
        - **item:** :math:`(B, k)`
        - **score:** :math:`(B, k)`

    Raises:
        ValueError: If :obj:`users` are not user indices of :obj:`data` or
            :obj:`k` is not in :math:`[1, I]`.
    """
    graph = as_graph(data)
    k = check_k(k, graph.num_items)
    index = None if users is None else _as_index(users, graph.num_users)
    user, item = compute_embeddings(model, data)
    exclude = [graph.edge_index] if exclude_seen else []
    score, top = masked_topk(user, item, k, exclude, index)
    return Recommendation(item=top, score=score)


def _as_index(users: Sequence[int] | Tensor, num_users: int) -> Tensor:
    try:
        index = torch.as_tensor(users)
    except (TypeError, ValueError, RuntimeError):
        index = torch.empty(())  # refused below
    if index.dim() == 1 and index.numel() == 0:
        return index.long()
    integral = not (index.is_floating_point() or index.is_complex())
    if index.dim() != 1 or not integral or index.dtype == torch.bool:
        raise ValueError(
            "'users' needs to be a list or vector of user indices "
            f'(got {users!r})'
        )
    unknown = index[(index < 0) | (index >= num_users)]
    if unknown.numel() > 0:
        raise ValueError(
            f"'users' needs to name users of the data, 0 to {num_users - 1} "
            f'(got {int(unknown[0])})'
        )
    return index.long()
