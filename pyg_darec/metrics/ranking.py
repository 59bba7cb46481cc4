r"""Ranking metrics of PyG, guarded against inputs that inflate them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.metrics import (
    LinkPredCoverage,
    LinkPredHitRatio,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)
from torch_geometric.metrics.link_pred import LinkPredMetricData

METRICS = {
    'Recall': LinkPredRecall,
    'NDCG': LinkPredNDCG,
    'Precision': LinkPredPrecision,
    'HitRatio': LinkPredHitRatio,
    'MRR': LinkPredMRR,
}


def clean_ranking(
    pred_index_mat: Tensor, edge_label_index: Tensor, num_items: int
) -> tuple[Tensor, Tensor]:
    r"""Makes predictions and labels safe for
    :class:`torch_geometric.metrics.LinkPredRecall` and its relatives.

    These compare flattened pairs, so that the padding :obj:`-1` of one
    example equals the last item of the example before it and counts as a
    hit; and they count a label or a prediction as often as it is given, so
    that recall can exceed one. Here padding and all but the first of equal
    predictions become :obj:`num_items`, an item that no label names, and
    equal labels become one.

    Args:
        pred_index_mat (torch.Tensor): The predicted items of each example,
            best first, padded with :obj:`-1`.
        edge_label_index (torch.Tensor): Examples (row 0) and their relevant
            items (row 1).
        num_items (int): The number of items :math:`I`.

    Shapes:
        - **pred_index_mat:** :math:`(B, k)`
        - **edge_label_index:** :math:`(2, L)`

    Raises:
        ValueError: If a prediction or a label is out of range.
    """
    # Numbers of pairs, here and in PyG, wrap around in narrow integers.
    pred_index_mat, edge_label_index = (
        index.long() for index in (pred_index_mat, edge_label_index)
    )
    size = pred_index_mat.size(0)
    for name, value, low, high in (
        ('pred_index_mat', pred_index_mat, -1, num_items),
        ('edge_label_index[0]', edge_label_index[0], 0, size),
        ('edge_label_index[1]', edge_label_index[1], 0, num_items),
    ):
        wrong = value[(value < low) | (value >= high)]
        if wrong.numel() > 0:
            raise ValueError(
                f"'{name}' needs to be in [{low}, {high - 1}] "
                f'(got {int(wrong[0])})'
            )
    ordered, place = pred_index_mat.sort(dim=1, stable=True)
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    # 'place' is a permutation of each row, so every entry is written.
    again = torch.empty_like(again).scatter_(1, place, again)
    pred = pred_index_mat.masked_fill(again | (pred_index_mat < 0), num_items)

    key = edge_label_index[0] * num_items + edge_label_index[1]
    key = key.unique()
    row = torch.div(key, num_items, rounding_mode='floor')
    return pred, torch.stack([row, key - row * num_items])


def ranking_metrics(
    pred_index_mat: Tensor,
    edge_label_index: Tensor,
    ks: Sequence[int],
    num_items: int,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    r"""Recall, NDCG, Precision, HitRatio and MRR of every example and the
    Coverage of all of them, as in :obj:`torch_geometric.metrics`.

    The ideal gain of NDCG@k has :math:`\min(k, \textrm{number of relevant
    items})` terms. Precision always divides by :math:`k`. An example without
    labels has the value zero throughout.

    Args:
        pred_index_mat (torch.Tensor): The predicted items of each example,
            best first, padded with :obj:`-1`.
        edge_label_index (torch.Tensor): Examples (row 0) and their relevant
            items (row 1).
        ks (Sequence[int]): The cut-offs, none above the number of columns
            of :obj:`pred_index_mat`.
        num_items (int): The number of items :math:`I`.

    Shapes:
        - **pred_index_mat:** :math:`(B, k)`
        - **edge_label_index:** :math:`(2, L)`
        - **output:** per-example values :math:`(B)`, as
          :obj:`torch.double` so that means of many do not drift, keyed by name,
          and the coverage, keyed by name

    Raises:
        ValueError: If a cut-off, a prediction or a label is out of range.
    """
    if len(ks) == 0:
        raise ValueError("'ks' needs at least one cut-off (got none)")
    if max(ks) > pred_index_mat.size(1):
        raise ValueError(
            "'ks' needs to stay within the columns of 'pred_index_mat', "
            f'{pred_index_mat.size(1)} (got {max(ks)})'
        )
    pred, label = clean_ranking(pred_index_mat, edge_label_index, num_items)
    data = LinkPredMetricData(pred, label)  # matches pairs once for all
    values: dict[str, Tensor] = {}
    for name, cls in METRICS.items():
        for k in ks:
            # Only '_compute' keeps the examples apart; 'compute' averages.
            metric = cls(k).to(pred.device)
            values[f'{name}@{k}'] = metric._compute(data).double()
    coverage: dict[str, float] = {}
    for k in ks:
        metric = LinkPredCoverage(k, num_items).to(pred.device)
        found = pred[:, :k]
        metric.update(found[found < num_items].view(-1, 1), label)
        coverage[f'Coverage@{k}'] = float(metric.compute())
    return values, coverage
