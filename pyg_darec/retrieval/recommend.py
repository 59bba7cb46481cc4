"""Recommendations for given users."""

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval.candidates import rank_candidates
from pyg_darec.retrieval.cold import append_items
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.nodes import Indices, as_index, node_ids
from pyg_darec.retrieval.recommendation import Recommendation


def recommend(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    users: Indices | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    exclude_held_out: bool = False,
    allow: Indices | None = None,
    deny: Indices | None = None,
    new_items: Tensor | NDArray[Any] | None = None,
) -> Recommendation:
    r"""Recommends the :obj:`k` items that :obj:`model` scores highest for
    each user.

    .. code-block:: python

        item, score = recommend(model, data, users=[0, 7], k=5)

    What was held out to validate and test is recommended like anything new,
    as an evaluation needs it. A service, which is not to offer what users have
    already, passes :obj:`exclude_held_out=True`.

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
            items that a user has training interactions with.
            (default: :obj:`True`)
        exclude_held_out (bool, optional): If set to :obj:`True`, leaves out
            the items of a user's validation and test interactions as well.
            (default: :obj:`False`)
        allow (Sequence[int] or torch.Tensor, optional): The items to choose
            from, for all users; or an edge index, users in row 0, with the
            items to choose from for each of them. (default: :obj:`None`)
        deny (Sequence[int] or torch.Tensor, optional): The items to leave
            out, given alike. (default: :obj:`None`)
        new_items (torch.Tensor or numpy.ndarray, optional): The profile
            embeddings of items that are not in :obj:`data`, which compete with
            those that are and are numbered after them:
            :math:`I, I + 1, \ldots`. Needs a model with
            :obj:`embed_profiles`. (default: :obj:`None`)

    Shapes:
        - **allow**, **deny:** :math:`(N)` or :math:`(2, E)`
        - **new_items:** :math:`(M, D)`
        - **item:** :math:`(B, k)`
        - **score:** :math:`(B, k)`

    Raises:
        TypeError: If there are :obj:`new_items` and :obj:`model` cannot embed
            them.
        ValueError: If :obj:`users`, :obj:`allow` or :obj:`deny` name what is
            not in :obj:`data`, or :obj:`k` is not in :math:`[1, I]`.
    """
    graph = as_graph(data)
    index = None
    if users is not None:
        index = as_index(users, graph.num_users, 'users', 'user')
    _warn_of_unknown(data, graph, index)
    user, item = compute_embeddings(model, data)
    item = append_items(model, graph, item, new_items)
    known = [graph.edge_index] if exclude_seen else []
    if exclude_held_out:
        known += graph.edge_label_index.values()
    return rank_candidates(user, item, k, index, known, allow, deny)


def _warn_of_unknown(
    data: HeteroData | BipartiteGraph,
    graph: BipartiteGraph,
    index: Tensor | None,
) -> None:
    """As many after a split by time. Whether profiles or features tell a model
    something of them, it alone knows.
    """
    degree = graph.user_degree
    asked = torch.arange(degree.numel()) if index is None else index.unique()
    asked = asked.to(degree.device)
    unknown = asked[degree[asked] == 0].tolist()
    if unknown:
        ids = node_ids(data, 'user')
        some = ', '.join(f'{ids[n]!r:.80}' for n in unknown[:3])
        warnings.warn(
            f'{len(unknown)} of {len(asked)} users have no training '
            'interactions: what they are recommended is from their profiles '
            'or features if the model goes by these, and arbitrary otherwise; '
            "recommend what is popular, or by profiles with 'recommend_cold' "
            f'(got {some}{", ..." if len(unknown) > 3 else ""})'
        )
