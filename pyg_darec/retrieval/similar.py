"""What is like an item or a user."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_choice
from pyg_darec.graph import KINDS, BipartiteGraph, Kind
from pyg_darec.nn.functional import normalize
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.nodes import Indices, as_index
from pyg_darec.retrieval.topk import check_k, masked_topk


class Similar(NamedTuple):
    r"""The nodes that are most like each node, best first, and their cosines.
    They are called :attr:`item` where they are users, too.
    """

    item: Tensor
    score: Tensor


def similar_items(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    items: Indices | None = None,
    k: int = 10,
) -> Similar:
    r"""The :obj:`k` items whose embeddings have the highest cosine with that
    of each item: :func:`similar` for items, with :obj:`items` in place of
    :obj:`nodes`.
    """
    if items is not None:  # errors name this argument
        items = as_index(items, as_graph(data).num_items, 'items', 'item')
    return similar(model, data, items, k)


def similar(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    nodes: Indices | None = None,
    k: int = 10,
    kind: Kind = 'item',
) -> Similar:
    r"""The :obj:`k` nodes whose embeddings have the highest cosine with that
    of each node, best first, exact, without the node itself. A node whose
    embedding is zero has cosine 0 with all others.

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions.
        nodes (Sequence[int] or torch.Tensor, optional): The nodes to find
            similar ones to. If :obj:`None`, all. (default: :obj:`None`)
        k (int, optional): The number of similar nodes.
            (default: :obj:`10`)
        kind (str, optional): :obj:`'item'` or :obj:`'user'`.
            (default: :obj:`'item'`)

    Returns:
        The similar nodes, called :obj:`item` for users too, and their
        cosines as :obj:`score`, both of shape :math:`(B, k)`.

    Raises:
        ValueError: If :obj:`nodes` are not indices of nodes of this kind or
            :obj:`k` is larger than their number.
    """
    check_choice('kind', kind, KINDS)
    graph = as_graph(data)
    num = graph.num_users if kind == 'user' else graph.num_items
    index = None if nodes is None else as_index(nodes, num, 'nodes', kind)
    k = check_k(k, num, kind)
    user, item = compute_embeddings(model, data)
    x = user if kind == 'user' else item
    x = normalize(x.to(torch.promote_types(x.dtype, torch.float32)))
    itself = torch.arange(num, device=x.device).expand(2, num)
    score, top = masked_topk(x, x, k, [itself], index)
    # Rounding can take the cosine of equal directions past 1.
    return Similar(top, score.clamp(max=1.0))
