"""LightGCN and the alignments in plain PyTorch, trained and evaluated with the
loops of common research code: samples one by one, negatives by rejection in
Python, a mask and the metrics user by user.
"""

import math
from itertools import cycle, islice
from typing import Any

import numpy as np
import scipy.sparse
import torch
from ours import build_model, graph_of, research_lightgcn
from plain_alignments import PLAIN_ALIGN
from plain_models import PlainGraph, lightgcn, propagate, table
from protocol import Contender, serve
from split import Pairs, Split
from torch.utils.data import DataLoader, Dataset

# The aligner whose parameters a plain alignment shares.
SHARES = {
    'DaRec': 'DaRecAlign paper',
    'RLMRec-Con': 'RLMRecConAlign',
    'RLMRec-Gen': 'RLMRecGenAlign',
}
KS = (5, 10, 20)


class Triples(Dataset[tuple[int, int, int]]):
    """Positive pairs, each with a negative that is drawn when asked for."""

    def __init__(self, pairs: Pairs, num_items: int) -> None:
        self.pairs = pairs.T.tolist()
        self.seen = {(u, i) for u, i in self.pairs}
        self.num_items = num_items

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[int, int, int]:
        user, pos = self.pairs[index]
        while True:
            neg = int(np.random.randint(self.num_items))  # noqa: NPY002
            if (user, neg) not in self.seen:
                return user, pos, neg


def as_lists(pairs: Pairs) -> dict[int, list[int]]:
    lists: dict[int, list[int]] = {}
    for user, item in pairs.T.tolist():
        lists.setdefault(user, []).append(item)
    return lists


def metrics_at(ranked: list[int], relevant: list[int], k: int) -> Any:
    """Recall and NDCG of one user."""
    known = set(relevant)
    hits = [float(item in known) for item in ranked[:k]]
    gain = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
    ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(known))))
    return np.array([sum(hits) / len(known), gain / ideal])


class Plain(Contender):
    def __init__(
        self, name: str, split: Split, settings: dict[str, Any]
    ) -> None:
        torch.manual_seed(settings['seed'])
        np.random.seed(settings['seed'])  # noqa: NPY002
        is_aligned = name in SHARES
        graph = graph_of(split, settings['llm_dim'] if is_aligned else None)
        plain_graph = PlainGraph(graph)
        if is_aligned:
            model: Any = build_model(SHARES[name], graph, settings)
            self.loss = PLAIN_ALIGN[name](model, plain_graph)
        else:
            model = research_lightgcn(graph, settings['dim'])
            self.loss = lightgcn(model, plain_graph)
            self.evaluate = self._evaluate
            self.propagate = self._propagate
        self.model, self.graph, self.split = model, plain_graph, split
        self.adam = torch.optim.Adam(model.parameters(), lr=settings['lr'])
        self.loader = DataLoader(
            Triples(split.train, split.num_items),
            settings['batch'],
            shuffle=True,
        )
        self.batches = cycle(list(islice(self.loader, 8)))
        ones = np.ones(split.train.shape[1], dtype=np.float32)
        size = split.num_users, split.num_items
        self.matrix = scipy.sparse.csr_matrix((ones, split.train), size)
        self.test = as_lists(split.test)

    def step(self, batch: Any = None) -> None:
        self.adam.zero_grad()
        self.loss(next(self.batches) if batch is None else batch).backward()
        self.adam.step()

    def epoch(self) -> None:
        for batch in self.loader:
            self.step(batch)

    @torch.no_grad()
    def _propagate(self) -> Any:
        adj, layers = self.graph.adj, self.model.num_layers
        return sum(propagate(adj, table(self.model), layers))

    def embed(self) -> tuple[Any, Any]:
        user, item = self.graph.split(self._propagate())
        return user.numpy(), item.numpy()

    def _evaluate(self) -> dict[str, float]:
        user, item = (torch.from_numpy(x) for x in self.embed())
        users, total = sorted(self.test), np.zeros((len(KS), 2))
        for start in range(0, len(users), 1024):
            batch = users[start : start + 1024]
            rows = [self.matrix[[u]].toarray().reshape(-1) for u in batch]
            mask = torch.from_numpy(np.stack(rows))
            score = user[batch] @ item.t() * (1 - mask) - 1e8 * mask
            top = score.topk(min(max(KS), item.size(0))).indices.tolist()
            for u, ranked in zip(batch, top, strict=True):
                total += [metrics_at(ranked, self.test[u], k) for k in KS]
        mean = total / len(users)
        return {f'NDCG@{k}': mean[n, 1] for n, k in enumerate(KS)} | {
            f'Recall@{k}': mean[n, 0] for n, k in enumerate(KS)
        }


if __name__ == '__main__':
    serve(Plain, {'torch': torch.__version__})
