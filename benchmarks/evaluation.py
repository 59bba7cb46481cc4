"""Times the evaluation of all test users against the usual Python loops.

    python benchmarks/evaluation.py [--root path/to/yelp] [--json out.json]

With ``--root`` on the Yelp data (matrices in ``root/raw``), without it on
random interactions of the same size. Three implementations of one protocol
(all items ranked, training items masked, cut-offs 5, 10 and 20) take turns:

- ``pyg_darec``: ``evaluate``, all six metrics
- ``batched loop``: scores and top-k of 1024 users at once under a dense mask
  that is put together user by user, then a loop over the users' lists for
  Recall and NDCG, as in the evaluation of common research code
- ``user loop``: scores, mask, top-k, Recall and NDCG, user by user

Fails unless Recall and NDCG of all three agree. Beside other jobs on the same
cores, set ``OMP_WAIT_POLICY=passive``: threads that spin while they wait for
each other slow down everything that uses more than one of them.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from timing import alternate, machine, summary
from torch import Tensor

from pyg_darec.graph import BipartiteGraph, as_graph
from pyg_darec.metrics import evaluate

KS = (5, 10, 20)
NUM_USERS, NUM_ITEMS = 11_091, 11_010
NUM_TRAIN, NUM_VAL, NUM_TEST = 166_620, 55_479, 55_436
# Another order of the same sums may swap two items of nearly equal score.
TOLERANCE = 1e-4

Lists = dict[int, list[int]]


class Untrained(torch.nn.Module):
    """LightGCN at initialisation: what it ranks does not change the time."""

    def __init__(self, graph: BipartiteGraph, dim: int) -> None:
        super().__init__()
        user = total_user = torch.randn(graph.num_users, dim)
        item = total_item = torch.randn(graph.num_items, dim)
        for _ in range(3):
            user, item = graph.propagate(user, item)
            total_user, total_item = total_user + user, total_item + item
        self.user, self.item = total_user, total_item

    def forward(self, data: BipartiteGraph) -> tuple[Tensor, Tensor]:
        return self.user, self.item


def random_graph() -> BipartiteGraph:
    """Random interactions of Yelp's size, with popular items."""
    total = NUM_TRAIN + NUM_VAL + NUM_TEST
    popularity = 1 / torch.arange(10.0, NUM_ITEMS + 10)
    item = popularity.multinomial(3 * total, replacement=True)
    user = torch.randint(NUM_USERS, (3 * total,))
    pairs = torch.unique(user * NUM_ITEMS + item)
    pairs = pairs[torch.randperm(pairs.numel())[:total]]
    edge_index = torch.stack([pairs // NUM_ITEMS, pairs % NUM_ITEMS])
    train, val, test = edge_index.split([NUM_TRAIN, NUM_VAL, NUM_TEST], dim=1)
    held_out = {'val': val, 'test': test}
    return BipartiteGraph(
        train, NUM_USERS, NUM_ITEMS, edge_label_index=held_out
    )


def as_lists(edge_index: Tensor) -> Lists:
    lists: Lists = {}
    for user, item in edge_index.t().tolist():
        lists.setdefault(user, []).append(item)
    return lists


def loop_metrics(ranked: list[list[int]], truth: list[list[int]]) -> Tensor:
    """Recall and NDCG of each cut-off, summed over users in a loop."""
    sums = torch.zeros(2, len(KS), dtype=torch.double)
    for n, k in enumerate(KS):
        recall = ndcg = 0.0
        for items, relevant in zip(ranked, truth, strict=True):
            relevant_set = set(relevant)
            hits = [float(item in relevant_set) for item in items[:k]]
            recall += sum(hits) / len(relevant_set)
            gain = sum(h / math.log2(r + 2) for r, h in enumerate(hits))
            ideal = min(k, len(relevant_set))
            ndcg += gain / sum(1 / math.log2(r + 2) for r in range(ideal))
        sums[0, n], sums[1, n] = recall, ndcg
    return sums


def batched_loop(
    model: Untrained, matrix: scipy.sparse.csr_matrix, test: Lists
) -> Tensor:
    users = sorted(test)
    ranked: list[list[int]] = []
    for start in range(0, len(users), 1024):
        batch = users[start : start + 1024]
        rows = [matrix[[user]].toarray().reshape(-1) for user in batch]
        mask = torch.from_numpy(np.stack(rows))
        scores = model.user[batch] @ model.item.t()
        scores = scores * (1 - mask) - 1e8 * mask
        ranked += scores.topk(max(KS)).indices.tolist()
    return loop_metrics(ranked, [test[user] for user in users]) / len(users)


def user_loop(model: Untrained, train: Lists, test: Lists) -> Tensor:
    users = sorted(test)
    sums = torch.zeros(2, len(KS), dtype=torch.double)
    for user in users:
        scores = model.item @ model.user[user]
        scores[train.get(user, [])] = -torch.inf
        ranked = scores.topk(max(KS)).indices.tolist()
        sums += loop_metrics([ranked], [test[user]])
    return sums / len(users)


def vectorised(model: Untrained, graph: BipartiteGraph) -> Tensor:
    out = evaluate(model, graph, ks=KS)
    rows = [[out[f'{name}@{k}'] for k in KS] for name in ('Recall', 'NDCG')]
    return torch.tensor(rows, dtype=torch.double)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--root', help='folder of the Yelp dataset')
    parser.add_argument('--dim', type=int, default=32)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--json', type=Path, help='also write the result here')
    args = parser.parse_args()

    torch.manual_seed(0)
    if args.root:
        from pyg_darec.datasets import Yelp

        graph = as_graph(Yelp(args.root)[0])
    else:
        graph = random_graph()
    model = Untrained(graph, args.dim)
    train = as_lists(graph.edge_index)
    test = as_lists(graph.edge_label_index['test'])
    ones = np.ones(graph.num_edges, dtype=np.float32)
    matrix = scipy.sparse.csr_matrix(
        (ones, graph.edge_index.numpy()), (graph.num_users, graph.num_items)
    )
    runs: dict[str, Callable[[], Tensor]] = {
        'pyg_darec': lambda: vectorised(model, graph),
        'batched loop': lambda: batched_loop(model, matrix, test),
        'user loop': lambda: user_loop(model, train, test),
    }

    results = {name: run() for name, run in runs.items()}  # warms up too
    seconds = alternate(runs, args.repeats, warmup=0)

    ours = results['pyg_darec']
    apart = max(float((r - ours).abs().max()) for r in results.values())
    if apart > TOLERANCE:
        raise SystemExit(f'The implementations differ by {apart:.1e}')
    base = statistics.median(seconds['pyg_darec'])
    report = {
        'machine': machine(),
        'data': 'Yelp' if args.root else "random, of Yelp's size",
        'test_users': len(test),
        'num_items': graph.num_items,
        'dim': args.dim,
        'repeats': args.repeats,
        'largest_difference': apart,
        'recall_at_20': float(ours[0, -1]),
        'seconds': {
            name: {
                **summary(values, scale=1),
                'times_pyg_darec': statistics.median(values) / base,
            }
            for name, values in seconds.items()
        },
    }
    print(json.dumps(report, indent=2))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
