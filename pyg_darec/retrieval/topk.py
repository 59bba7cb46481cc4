"""Exact top-k over all items, with the items to leave out."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pyg_darec.checks import as_count, check_index
from pyg_darec.retrieval.chunk_ranking import ChunkRanking
from pyg_darec.retrieval.embedding import check_embeddings
from pyg_darec.retrieval.nodes import Indices, as_index

# Scores at once, 32 MiB of float32, unless rows are so wide that this would
# be fewer users than MIN_CHUNK: then reading the items dominates.
MAX_SCORES = 2**23
MIN_CHUNK = 256


def masked_topk(
    user: Tensor,
    item: Tensor,
    k: int,
    exclude: Sequence[Tensor] = (),
    users: Indices | None = None,
    chunk_size: int | None = None,
    progress: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""The :obj:`k` items with the highest inner product
    :math:`\mathbf{u}^{\top} \mathbf{i}` for each user, best first, exact,
    with excluded pairs left out.

    The scores of a chunk of users are computed in tiles that fit the cache,
    in a buffer that all chunks share. A user with fewer than :obj:`k` items
    left gets the index :obj:`-1` and the score :obj:`-inf` in the places that
    stay empty.
    The same call gives the same result on the same device, but items with
    *equal* scores come in no particular order.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        k (int): The number of items per user.
        exclude (Sequence[torch.Tensor], optional): Edge indices (users in
            row 0, items in row 1) of the pairs to leave out, such as the
            training interactions. (default: :obj:`()`)
        users (Sequence[int] or torch.Tensor, optional): The users to rank
            items for, in any order. If :obj:`None`, all users.
            (default: :obj:`None`)
        chunk_size (int, optional): The number of users to score at once. If
            :obj:`None`, as many as give :math:`2^{23}` scores, and at least
            256. (default: :obj:`None`)
        progress (bool, optional): If set to :obj:`True`, shows a progress
            bar. (default: :obj:`False`)

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **users:** :math:`(B)`
        - **output:** scores :math:`(B, k)` and item indices :math:`(B, k)`

    Raises:
        ValueError: If :obj:`k` is not in :math:`[1, I]`, :obj:`chunk_size`
            is not positive, the embeddings do not fit each other or are not
            finite, a user or an excluded pair does not exist, or scores
            overflow, those far below the best ones excepted.
    """
    check_embeddings(user, item)
    k = check_k(k, item.size(0))
    if chunk_size is None:
        chunk_size = max(MAX_SCORES // item.size(0), MIN_CHUNK)
    if chunk_size < 1:
        raise ValueError(
            f"'chunk_size' needs to be positive (got {chunk_size})"
        )
    if users is None:
        users = torch.arange(user.size(0), device=user.device)
    users = as_index(users, user.size(0), 'users', 'user').to(user.device)
    for pairs in exclude:
        check_index('excluded', pairs, user.size(0), item.size(0))
    num = users.numel()

    # Half precision has too few digits to tell thousands of scores apart.
    half = (torch.float16, torch.bfloat16)
    dtype = torch.promote_types(user.dtype, item.dtype)
    dtype = torch.float32 if dtype in half else dtype
    user, item = user.detach().to(dtype), item.detach().to(dtype)

    ranking = ChunkRanking(item, k, max(min(chunk_size, num), 1))
    row, col = _excluded(exclude, users, user.size(0))
    start = torch.arange(0, num + chunk_size, chunk_size, device=row.device)
    bound = torch.searchsorted(row, start).tolist()
    score = user.new_empty(num, k)
    index = torch.empty_like(score, dtype=torch.long)
    chunks = range(0, num, chunk_size)
    bar = tqdm(chunks, desc='Ranking items', disable=not progress)
    for i, lo in enumerate(bar):
        hi, part = lo + chunk_size, slice(bound[i], bound[i + 1])
        query = user[users[lo:hi]]
        score[lo:hi], index[lo:hi] = ranking(query, row[part] - lo, col[part])
    is_empty = score == -torch.inf
    is_finite = bool((score < torch.inf).all())  # NaN compares false as well
    if is_finite and bool(is_empty.any()):
        # Of each user, the items that are not excluded.
        pair = (row * item.size(0) + col).unique()
        gone = torch.bincount(pair // item.size(0), minlength=num)
        left = item.size(0) - gone
        is_finite = bool((is_empty.sum(dim=1) <= (k - left).clamp(min=0)).all())
    if not is_finite:
        raise ValueError(
            'The scores overflow: the model diverged; lower the learning '
            f'rate or the loss weights (got embeddings up to '
            f'{max(float(user.abs().max()), float(item.abs().max())):.1e})'
        )
    return score, index.masked_fill_(is_empty, -1)


def check_k(k: int, num: int, kind: str = 'item') -> int:
    r"""Returns :obj:`k` as a plain integer.

    Raises:
        ValueError: If it is not an integer in :math:`[1, I]`.
    """
    value = as_count(k)
    if value < 1:
        raise ValueError(f"'k' needs to be a positive integer (got {k!r})")
    if value > num:
        raise ValueError(
            f"'k' needs to be at most the number of {kind}s, {num} (got {k})"
        )
    return value


def _excluded(
    exclude: Sequence[Tensor], users: Tensor, num_users: int
) -> tuple[Tensor, Tensor]:
    """The excluded pairs of the users as positions in them, sorted, and
    items.
    """
    # Sorting takes longest, and for one user it need not be all pairs.
    is_asked = torch.zeros(num_users, dtype=torch.bool, device=users.device)
    is_asked[users] = True
    parts = [users.new_empty(2, 0)]
    for pairs in exclude:
        part = pairs.to(users)
        parts.append(part[:, is_asked[part[0]]])
    edge_index = torch.cat(parts, dim=1)
    owner, order = edge_index[0].sort()
    degree = torch.bincount(owner, minlength=num_users)
    first = degree.cumsum(0) - degree

    count = degree[users]
    position = torch.arange(users.numel(), device=users.device)
    row = position.repeat_interleave(count)
    # The n-th pair of a position is the n-th edge of its user.
    offset = first[users] - (count.cumsum(0) - count)
    edge = torch.arange(row.numel(), device=users.device) + offset[row]
    return row, edge_index[1, order[edge]]
