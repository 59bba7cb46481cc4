"""Scores and ranks all items for a few users at a time."""

import torch
from torch import Tensor

from pyg_darec.retrieval.grouped import group_maxima, grouped_topk

# Scores that are kept, 128 MiB of float32; wider rows are ranked in parts.
MAX_BUFFER = 2**25
# Scores that a core's second-level cache holds, 1 MiB of float32, and of how
# many users.
TILE = 2**18
ROWS = 256


class ChunkRanking:
    r"""The best items of chunks of users, with the buffer that these share.

    A chunk is scored tile by tile. As long as the second-level cache holds a
    tile, the maxima of its groups are taken: in what follows, nearly all
    scores are never looked at again
    (:func:`~pyg_darec.retrieval.grouped.grouped_topk`).

    Args:
        item (torch.Tensor): The item embeddings.
        k (int): The number of items per user.
        height (int): The largest number of users in a chunk.

    Shapes:
        - **item:** :math:`(I, d)`
        - **query:** :math:`(B, d)`
        - **row**, **col:** :math:`(n)`, the pairs to leave out
        - **output:** scores :math:`(B, k)`, best first, and items
          :math:`(B, k)`
    """

    def __init__(self, item: Tensor, k: int, height: int) -> None:
        self.k, self.num_items = k, item.size(0)
        self.rows, self.size, self.group = _tile(
            height, self.num_items, item.device.type
        )
        item = torch.nn.functional.pad(
            item, (0, 0, 0, -self.num_items % self.size)
        )
        self.tiles = item.view(-1, self.size, item.size(1)).transpose(1, 2)
        # Tiles that lie side by side in the buffer.
        count = max(MAX_BUFFER // (height * self.size), 1)
        self.count = min(count, self.tiles.size(0))
        num_scores = height * self.count * self.size
        self.scores = item.new_empty(num_scores)
        self.maxima = item.new_empty(num_scores // self.group)

    def __call__(
        self, query: Tensor, row: Tensor, col: Tensor
    ) -> tuple[Tensor, Tensor]:
        row, col, bound = self._by_tile(row, col, query.size(0))
        score = query.new_empty(query.size(0), 0)
        index = torch.empty_like(score, dtype=torch.long)
        for first in range(0, self.tiles.size(0), self.count):
            scores, maxima = self._buffers(query.size(0), first)
            for low in range(0, query.size(0), self.rows):
                some = slice(low, low + self.rows)
                for i, part in enumerate(scores[:, some]):
                    number = first + i
                    start = number * self.size
                    torch.mm(query[some], self.tiles[number], out=part)
                    if start + self.size > self.num_items:
                        part[:, self.num_items - start :] = -torch.inf
                    number += low // self.rows * self.tiles.size(0)
                    out = slice(bound[number], bound[number + 1])
                    part[row[out] - low, col[out] - start] = -torch.inf
                    # At once, while the tile is in the cache.
                    group_maxima(part, self.group, out=maxima[some, i])
            top, place = self._topk(scores, maxima)
            score = torch.cat([score, top], dim=1)
            index = torch.cat([index, place + first * self.size], dim=1)
            score, place = score.topk(min(self.k, score.size(1)))
            index = index.gather(1, place)
        return score, index

    def _topk(self, scores: Tensor, maxima: Tensor) -> tuple[Tensor, Tensor]:
        """The best of some tiles, in no particular order."""
        num_tiles, height, size = scores.shape
        num = maxima.size(2)  # of groups in a tile
        if num_tiles * num <= 2 * self.k:  # nearly all groups
            rows = scores.transpose(0, 1).flatten(1)
            return rows.topk(min(self.k, rows.size(1)), sorted=False)
        _, best = grouped_topk(maxima.flatten(1), self.k, self.group)
        tile = best.div(num, rounding_mode='floor')
        row = torch.arange(height, device=scores.device).view(-1, 1)
        # Where the groups begin in the buffer, and where their members are.
        begin = (tile * height + row) * size + (best - tile * num)
        member = torch.arange(0, size, num, device=scores.device).view(-1, 1)
        place = (begin.unsqueeze(1) + member).flatten(1)
        found = scores.view(-1).index_select(0, place.view(-1))
        top, winner = found.view_as(place).topk(self.k, sorted=False)
        place = place.gather(1, winner)
        tile = place.div(height * size, rounding_mode='floor')
        return top, tile * size + place % size

    def _by_tile(
        self, row: Tensor, col: Tensor, height: int
    ) -> tuple[Tensor, Tensor, list[int]]:
        """Pairs tile by tile, and where those of each tile begin."""
        num_tiles = self.tiles.size(0)
        count = -(-height // self.rows) * num_tiles
        if count == 1:  # asks the device nothing
            return row, col, [0, row.numel()]
        tile = row.div(self.rows, rounding_mode='floor').mul_(num_tiles)
        tile += col.div(self.size, rounding_mode='floor')
        tile, order = tile.sort()
        start = torch.arange(count + 1, device=row.device)
        bound: list[int] = torch.searchsorted(tile, start).tolist()
        return row[order], col[order], bound

    def _buffers(self, height: int, first: int) -> tuple[Tensor, Tensor]:
        """Room for some tiles, beginning with the :obj:`first`. Each lies in
        one piece, since rows far apart may compete for few places in a cache.
        """
        count = min(self.count, self.tiles.size(0) - first)
        num = height * count * self.size
        scores = self.scores[:num].view(count, height, -1)
        maxima = self.maxima[: num // self.group].view(height, count, -1)
        return scores, maxima


def _tile(height: int, num_items: int, device: str) -> tuple[int, int, int]:
    """Users and items of a tile, and items of a group."""
    if device != 'cpu':  # few large kernels
        return height, num_items + -num_items % 16, 16
    num_threads = torch.get_num_threads()
    height = min(height, ROWS * num_threads)
    count = -(-num_items * height // (TILE * num_threads))
    # Groups of groups of 8.
    return height, 64 * -(-num_items // (64 * count)), 8
