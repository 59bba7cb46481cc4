"""Why an item is recommended."""

import copy

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from tqdm.auto import tqdm

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_count
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import unit_rows
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.explanation import Explanation, Reason
from pyg_darec.retrieval.nodes import (
    Indices,
    as_index,
    node_ids,
    node_values,
    to_tensor,
)
from pyg_darec.transforms.relation import keep_edges

_TEXTS = ('profile', 'name')


def explain(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    user: int,
    items: Indices,
    k: int = 3,
) -> list[Explanation]:
    r"""Explains the scores of items by those training items of the user whose
    profile embeddings are nearest.

    For each of them, it tells how much the interaction adds to the score,

    .. math::
        s_{ui}(\mathcal{E}) - s_{ui}(\mathcal{E} \setminus \{(u, j)\}),

    both with the weights that the model has, and with those of interactions
    that :meth:`~pyg_darec.BipartiteGraph.with_weight` gave, if it did. This is
    what the graph passes on, and zero for a model that does not propagate; it
    is not what training without the interaction would change. It takes one
    propagation for each item that is named and, with the default
    :class:`~pyg_darec.nn.align.DaRecAlign`, one reduction of all profiles.

    .. code-block:: python

        item, _ = recommend(model, data, [7], k=5)
        print(*explain(model, data, 7, item[0]), sep='\n')

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions, with profile embeddings of items.
        user (int): The user.
        items (Sequence[int] or torch.Tensor): The items to explain; those
            that are :obj:`-1` in a recommendation are passed over.
        k (int, optional): The most training items to name for each.
            (default: :obj:`3`)

    Returns:
        One :class:`~pyg_darec.retrieval.Explanation` per item, in the order
        given.

    Raises:
        ValueError: If :obj:`user` or an item is not in :obj:`data`, or items
            have no profile embeddings.
    """
    graph = as_graph(data)
    check_count(k=k)
    owner = int(as_index([user], graph.num_users, 'user', 'user'))
    index = to_tensor(items)
    if index.dim() == 1:
        items = index[index != -1]
    targets = as_index(items, graph.num_items, 'items', 'item')
    if 'item' not in graph.llm_x:
        raise ValueError(
            "'explain' needs profile embeddings of items: set "
            "data['item'].llm_x or apply 'AttachProfileEmbeddings' (got none)"
        )
    targets = targets.to(graph.device)
    llm = graph.llm_x['item']
    seen = graph.edge_index[1, graph.edge_index[0] == owner]
    rows = [
        unit_rows(llm[n].to(torch.promote_types(llm.dtype, torch.float32)))
        for n in (targets, seen)
    ]
    cosine = rows[0] @ rows[1].t()
    # A seen item is not its own reason.
    cosine[targets.view(-1, 1) == seen] = -torch.inf
    near = cosine.topk(min(k, seen.numel()), dim=1)
    without = {
        n: _score(model, _without(graph, owner, n), owner, targets)
        for n in tqdm(
            seen[near.indices[near.values > -torch.inf]].unique().tolist(),
            desc='Explaining',
            delay=1,
        )
    }
    # Last, so that the whole graph is what the model has seen last.
    score = _score(model, graph, owner, targets)

    user_ids, ids = node_ids(data, 'user'), node_ids(data, 'item')
    text = next(
        filter(None, (node_values(data, 'item', a) for a in _TEXTS)),
        [None] * graph.num_items,
    )
    out = []
    for row, target in enumerate(targets.tolist()):
        reasons = tuple(
            Reason(
                item=n,
                id=ids[n],
                text=text[n],
                similarity=similarity,
                contribution=float(score[row] - without[n][row]),
            )
            for n, similarity in zip(
                seen[near.indices[row]].tolist(),
                near.values[row].tolist(),
                strict=True,
            )
            if n != target
        )
        out.append(
            Explanation(
                user=owner,
                user_id=user_ids[owner],
                item=target,
                id=ids[target],
                text=text[target],
                score=float(score[row]),
                reasons=reasons,
            )
        )
    return out


def _score(
    model: torch.nn.Module, graph: BipartiteGraph, user: int, items: Tensor
) -> Tensor:
    users, rows = compute_embeddings(model, graph)
    return rows[items.to(rows.device)].double() @ users[user].double()


def _without(graph: BipartiteGraph, user: int, item: int) -> BipartiteGraph:
    """The graph without one interaction, for models of any kind."""
    source = graph.source
    if source is not None:
        source = copy.copy(source)
        flipped = graph.edge_type[::-2]
        for relation, pairs in source.collect(
            'edge_index', allow_empty=True
        ).items():
            # A model may read a stored reverse relation, whatever its name.
            if relation == graph.edge_type:
                keep = _others(pairs, user, item)
            elif relation[::2] == flipped:
                keep = _others(pairs, item, user)
            else:
                continue
            keep_edges(source, relation, keep.nonzero().flatten())
    keep = _others(graph.edge_index, user, item)
    pairs = graph.edge_index
    out = BipartiteGraph(
        pairs[:, keep],
        graph.num_users,
        graph.num_items,
        graph.llm_x,
        graph.edge_label_index,
        graph.edge_type,
        source,
    )
    return out.with_weight(graph.weight[keep]) if graph.is_weighted else out


def _others(pairs: Tensor, first: int, second: int) -> Tensor:
    """Which pairs are another one."""
    return (pairs[0] != first) | (pairs[1] != second)
