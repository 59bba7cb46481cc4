"""Times the evaluation of all test users against the usual Python loops.

    python benchmarks/evaluation.py [--root path/to/yelp] [--json out.json]
    python benchmarks/evaluation.py --synthetic 100000 100000 64

With ``--root`` on the Yelp data (matrices in ``root/raw``), without it on
random interactions of the same size. Three implementations of one protocol
(all items ranked, training items masked, cut-offs 5, 10 and 20) take turns:

- ``pyg_darec``: ``evaluate``, all six metrics
- ``batched loop``: scores and top-k of 1024 users at once under a dense mask
  that is put together user by user, then a loop over the users' lists for
  Recall and NDCG, as in the evaluation of common research code
- ``user loop``: scores, mask, top-k, Recall and NDCG, user by user

Fails unless Recall and NDCG of all three agree.

With ``--synthetic users items dim``, the exact top-20 of random embeddings with
15 excluded items a user, checked on some users against a full sort.

Either way, next to the rate that the machine's matrix product reaches on the
same embeddings, with nothing done to the scores: ``rows``, whole rows for 256
users at once, and ``tiles``, 256 users by 1024 items, which stay in the cache;
and on two square matrices of 2048. Rates count two operations for every
multiplication that scoring needs. Beside other jobs on the same
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

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import evaluate
from pyg_darec.retrieval import masked_topk

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


def products(user: Tensor, item: Tensor) -> dict[str, Callable[[], object]]:
    """Scores of all pairs that nobody looks at, and a square product."""
    square = torch.randn(2048, 2048)
    result = torch.empty_like(square)
    row = torch.empty(256, item.size(0))
    tile = torch.empty(256 * 1024)

    def rows() -> None:
        for part in user.split(256):
            torch.mm(part, item.t(), out=row[: part.size(0)])

    def tiles() -> None:
        for part in user.split(256):
            for some in item.split(1024):
                shape = part.size(0), some.size(0)
                torch.mm(
                    part, some.t(), out=tile[: math.prod(shape)].view(shape)
                )

    return {
        'product, rows': rows,
        'product, tiles': tiles,
        'product, square': lambda: torch.mm(square, square, out=result),
    }


def rates(
    seconds: dict[str, list[float]], ours: str, shape: tuple[int, int, int]
) -> dict[str, dict[str, float]]:
    """GFLOP/s of what ran, and what share of each rate is ours."""
    rate: dict[str, float] = {}
    for name, values in seconds.items():
        size = 2048**3 if name == 'product, square' else math.prod(shape)
        rate[name] = 2e-9 * size / statistics.median(values)
    print(f'{"":16s} {"GFLOP/s":>8s} {"reached":>8s}')
    table = {}
    for name in (n for n in rate if n == ours or n.startswith('product')):
        share = rate[ours] / rate[name]
        print(f'{name:16s} {rate[name]:8.1f} {share:8.0%}')
        table[name] = {'gflops': rate[name], 'share_reached': share}
    return table


def synthetic(
    num_users: int, num_items: int, dim: int, repeats: int
) -> dict[str, object]:
    """Times the exact top-20 of random embeddings."""
    user, item = torch.randn(num_users, dim), torch.randn(num_items, dim)
    size = torch.tensor([[num_users], [num_items]])
    seen = torch.randint(2**62, (2, 15 * num_users)) % size
    runs: dict[str, Callable[[], object]] = {
        'masked_topk': lambda: masked_topk(user, item, 20, [seen]),
        **products(user, item),
    }
    some = torch.arange(0, num_users, max(num_users // 100, 1))
    found, _ = masked_topk(user, item, 20, [seen], some)
    scores = user[some] @ item.t()
    for i, u in enumerate(some.tolist()):
        scores[i, seen[1, seen[0] == u]] = -torch.inf
    expected = scores.sort(dim=1, descending=True).values[:, :20]
    if (apart := float((found - expected).abs().max())) > TOLERANCE:
        raise SystemExit(f'The top-20 differs from a sort by {apart:.1e}')
    seconds = alternate(runs, repeats, warmup=1)
    ours = seconds['masked_topk']
    return {
        'machine': machine(),
        'users': num_users,
        'items': num_items,
        'dim': dim,
        'repeats': repeats,
        'largest_difference': apart,
        'seconds': {k: summary(v, scale=1) for k, v in seconds.items()},
        'users_per_second': num_users / statistics.median(ours),
        'rates': rates(seconds, 'masked_topk', (num_users, num_items, dim)),
    }


def write(report: dict[str, object], path: Path | None) -> None:
    print(json.dumps(report, indent=2))
    if path:
        path.write_text(json.dumps(report, indent=2) + '\n')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--root', help='folder of the Yelp dataset')
    parser.add_argument(
        '--synthetic', type=int, nargs=3, metavar=('USERS', 'ITEMS', 'DIM')
    )
    parser.add_argument('--dim', type=int, default=32)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--json', type=Path, help='also write the result here')
    args = parser.parse_args()

    torch.manual_seed(0)
    if args.synthetic:
        write(synthetic(*args.synthetic, args.repeats), args.json)
        return
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
    tested = model.user[torch.tensor(sorted(test))]
    seconds = alternate(
        {**runs, **products(tested, model.item)}, args.repeats, warmup=0
    )

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
            if name in runs
        },
        'users_per_second': len(test) / base,
        'rates': rates(
            seconds, 'pyg_darec', (len(test), graph.num_items, args.dim)
        ),
    }
    write(report, args.json)


if __name__ == '__main__':
    main()
