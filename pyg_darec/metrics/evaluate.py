"""All-ranking evaluation on held-out interactions."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics.ranking import ranking_metrics
from pyg_darec.retrieval.embedding import check_embeddings, compute_embeddings
from pyg_darec.retrieval.topk import check_k, masked_topk


class Evaluation(NamedTuple):
    r"""The metrics of every evaluated user, for significance tests; on the
    CPU, wherever the model is.

    Args:
        user (torch.Tensor): The users with held-out items, ascending.
        per_user (dict): Recall, NDCG, Precision, HitRatio and MRR of these
            users, keyed as :obj:`'Recall@20'`, as :obj:`torch.double`.
        coverage (dict): The share of all items that were recommended to
            anybody, keyed as :obj:`'Coverage@20'`.

    Shapes:
        - **user:** :math:`(B)`
        - **per_user:** :math:`(B)` each
    """

    user: Tensor
    per_user: dict[str, Tensor]
    coverage: dict[str, float]

    def mean(self) -> dict[str, float]:
        r"""The average over users of each metric, and the coverage."""
        average = {k: float(v.mean()) for k, v in self.per_user.items()}
        return average | self.coverage


def evaluate(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    split: str = 'test',
    ks: Sequence[int] = (5, 10, 20),
    *,
    mask_val: bool = False,
    chunk_size: int | None = None,
    progress: bool = False,
) -> dict[str, float]:
    r"""Ranks all items for every user with held-out items and returns
    :obj:`{'Recall@5': ..., 'Coverage@20': ...}`: Recall, NDCG, Precision,
    HitRatio and MRR, averaged over these users, and Coverage.

    Training items are never ranked. A held-out pair that is masked can never
    be a hit: such pairs are left out of the labels, with a warning that
    counts them. Duplicate pairs count once.

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes. Evaluated in
            evaluation mode, which is
            undone afterwards.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions and held-out interactions.
        split (str, optional): The held-out interactions to evaluate on,
            :obj:`'val'` or :obj:`'test'`. (default: :obj:`'test'`)
        ks (Sequence[int], optional): The cut-offs.
            (default: :obj:`(5, 10, 20)`)
        mask_val (bool, optional): If set to :obj:`True`, does not rank
            validation items either. (default: :obj:`False`)
        chunk_size (int, optional): The number of users to score at once,
            see :func:`~pyg_darec.retrieval.masked_topk`.
            (default: :obj:`None`)
        progress (bool, optional): If set to :obj:`True`, shows a progress
            bar. (default: :obj:`False`)

    Raises:
        TypeError: If :obj:`model` does not give two tensors.
        ValueError: If the split is missing or empty, a cut-off is not in
            :math:`[1, I]`, or the embeddings do not fit the data or are not
            finite.
    """
    return evaluate_per_user(
        model,
        data,
        split,
        ks,
        mask_val=mask_val,
        chunk_size=chunk_size,
        progress=progress,
    ).mean()


def evaluate_per_user(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    split: str = 'test',
    ks: Sequence[int] = (5, 10, 20),
    *,
    mask_val: bool = False,
    chunk_size: int | None = None,
    progress: bool = False,
) -> Evaluation:
    r"""Like :func:`evaluate`, with the same arguments and errors, but keeps
    the values of every user, on the CPU.
    """
    user, item = compute_embeddings(model, data)
    return evaluate_embeddings(
        user,
        item,
        data,
        split,
        ks,
        mask_val=mask_val,
        chunk_size=chunk_size,
        progress=progress,
    )


def evaluate_embeddings(
    user: Tensor,
    item: Tensor,
    data: HeteroData | BipartiteGraph,
    split: str = 'test',
    ks: Sequence[int] = (5, 10, 20),
    *,
    mask_val: bool = False,
    chunk_size: int | None = None,
    progress: bool = False,
) -> Evaluation:
    r"""Like :func:`evaluate_per_user`, from embeddings at hand.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        data, split, ks, mask_val, chunk_size, progress: See
            :func:`evaluate`.

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
    """
    graph = as_graph(data).to(user.device)
    ks = _check_ks(ks, graph.num_items)
    check_embeddings(user, item, graph)
    label, masked = held_out(graph, split, mask_val)
    users, row = label[0].unique(return_inverse=True)
    _, top = masked_topk(
        user, item, max(ks), masked, users, chunk_size, progress
    )
    label = torch.stack([row, label[1]]).to(top.device)
    per_user, coverage = ranking_metrics(top, label, ks, graph.num_items)
    # What tests and tables are made with knows of no other device.
    per_user = {name: value.cpu() for name, value in per_user.items()}
    return Evaluation(users.cpu(), per_user, coverage)


def held_out(
    graph: BipartiteGraph, split: str, mask_val: bool = False
) -> tuple[Tensor, list[Tensor]]:
    r"""The labels of a split and the interactions that are not ranked.

    Raises:
        ValueError: If there is no such split, or all of it is not ranked.
    """
    needed = [split, 'val'] if mask_val else [split]
    for name in needed:
        if name not in graph.edge_label_index:
            raise ValueError(
                f"The data has no split '{name}'; choose 'val' or 'test', and "
                'make them, for example with the transform '
                f"'SplitInteractions' (got {sorted(graph.edge_label_index)})"
            )
    if mask_val and split == 'val':
        raise ValueError(
            "'mask_val' would mask the very items that are evaluated; use "
            "it with another split (got split='val')"
        )
    masked = [graph.edge_index]
    if mask_val:
        masked.append(graph.edge_label_index['val'])

    label = graph.edge_label_index[split]
    key = label[0] * graph.num_items + label[1]
    known = torch.cat([u * graph.num_items + i for u, i in masked])
    new = ~torch.isin(key, known)
    count = key.numel() - int(new.sum())
    if count == key.numel():
        raise ValueError(
            f"Split '{split}' has no interaction to evaluate on; hold some "
            f'out (got {key.numel()}, of which {count} are masked)'
        )
    if count > 0:
        warnings.warn(
            f"{count} of the {key.numel()} interactions of split '{split}' "
            'are left out: they are masked as training or validation '
            'interactions and could never be ranked',
            stacklevel=2,
        )
    return label[:, new], masked


def _check_ks(ks: Sequence[int], num_items: int) -> list[int]:
    try:
        values = [check_k(k, num_items) for k in ks]
    except TypeError:
        values = []
    if not values:
        raise ValueError(
            f"'ks' needs to be a sequence of cut-offs (got {ks!r})"
        )
    return list(dict.fromkeys(values))
