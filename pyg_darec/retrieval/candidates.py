"""Top-k among the items that a user may be given."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyg_darec.checks import check_index
from pyg_darec.retrieval.embedding import check_embeddings
from pyg_darec.retrieval.nodes import Indices, as_index, to_tensor
from pyg_darec.retrieval.recommendation import Recommendation
from pyg_darec.retrieval.topk import check_k, masked_topk

# Numbers of embeddings that the pairs of a chunk are gathered into.
MAX_GATHERED = 2**23


def rank_candidates(
    user: Tensor,
    item: Tensor,
    k: int,
    users: Tensor | None = None,
    seen: Sequence[Tensor] = (),
    allow: Indices | None = None,
    deny: Indices | None = None,
) -> Recommendation:
    r"""Exact top-k with lists of items to choose from and to leave out, each
    either a vector of items for all users or an edge index with items for
    each user.

    What is allowed alone is scored: the columns of a list, or the pairs of an
    edge index.
    """
    sizes = user.size(0), item.size(0)
    k = check_k(k, item.size(0))
    check_embeddings(user, item)
    exclude = [pairs.to(user.device) for pairs in seen]
    may = torch.ones(sizes[1], dtype=torch.bool, device=user.device)
    pairs = None
    if allow is not None:
        allowed = _as_list(allow, 'allow', *sizes).to(user.device)
        if allowed.dim() == 2:
            pairs = allowed
        else:
            may = torch.zeros_like(may).index_fill_(0, allowed, True)
    if deny is not None:
        denied = _as_list(deny, 'deny', *sizes).to(user.device)
        if denied.dim() == 2:
            exclude.append(denied)
        else:
            may[denied] = False
    if users is None:
        users = torch.arange(sizes[0])
    users = users.to(user.device)
    if pairs is not None:
        return _rank_pairs(user, item, k, users, pairs, exclude, may)
    if may.all():
        score, top = masked_topk(user, item, k, exclude, users)
        return Recommendation(top, score)

    column = may.nonzero().flatten()
    out = _nothing(user, users.numel(), k)
    width = min(k, column.numel())
    if width > 0:
        place = torch.full_like(may, -1, dtype=torch.long)
        place[column] = torch.arange(column.numel(), device=place.device)
        kept = [e[:, may[e[1]]] for e in exclude]
        moved = [torch.stack([e[0], place[e[1]]]) for e in kept]
        score, top = masked_topk(user, item[column], width, moved, users)
        out.score[:, :width] = score
        out.item[:, :width] = column[top.clamp(min=0)].masked_fill(top < 0, -1)
    return out


def _rank_pairs(
    user: Tensor,
    item: Tensor,
    k: int,
    users: Tensor,
    pairs: Tensor,
    exclude: list[Tensor],
    may: Tensor,
) -> Recommendation:
    asked, back = users.unique(return_inverse=True)
    place = users.new_full((user.size(0),), -1)
    place[asked] = torch.arange(asked.numel(), device=users.device)
    num = item.size(0)

    def keys(edges: Tensor) -> Tensor:
        row, col = place[edges[0]], edges[1]
        keep = (row >= 0) & may[col]
        return row[keep] * num + col[keep]

    key = keys(pairs).unique()
    for edges in exclude:
        key = key[~torch.isin(key, keys(edges))]
    row, col = key.div(num, rounding_mode='floor'), key % num

    out = _nothing(user, asked.numel(), k)
    dtype = out.score.dtype
    size = max(MAX_GATHERED // max(user.size(1), 1), 1)
    score = out.score.new_empty(row.numel())
    for part in torch.arange(row.numel(), device=row.device).split(size):
        left, right = user[asked[row[part]]], item[col[part]]
        score[part] = (left.to(dtype) * right.to(dtype)).sum(dim=-1)
    if not score.isfinite().all():
        raise ValueError(
            'The scores overflow: the model diverged; lower the learning '
            'rate or the loss weights (got embeddings up to '
            f'{float(max(user.abs().max(), item.abs().max())):.1e})'
        )
    # By user and then by score, the second of two stable sorts deciding.
    order = score.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row, col, score = row[order], col[order], score[order]
    count = torch.bincount(row, minlength=asked.numel())
    first = count.cumsum(0) - count
    rank = torch.arange(row.numel(), device=row.device) - first[row]
    best = rank < k
    out.item[row[best], rank[best]] = col[best]
    out.score[row[best], rank[best]] = score[best]
    return Recommendation(out.item[back], out.score[back])


def _as_list(values: Any, name: str, num_users: int, num_items: int) -> Tensor:
    index = to_tensor(values)
    if index.dim() != 2:
        return as_index(values, num_items, name, 'item')
    check_index(f"'{name}'", index, num_users, num_items)
    return index.long()


def _nothing(user: Tensor, num: int, k: int) -> Recommendation:
    # As 'masked_topk': half precision cannot tell thousands of scores apart.
    dtype = torch.promote_types(user.dtype, torch.float32)
    score = user.new_full((num, k), -torch.inf, dtype=dtype)
    return Recommendation(torch.full_like(score, -1, dtype=torch.long), score)
