"""LightGCN on Gowalla with the settings of its paper.

    python benchmarks/gowalla.py --root data/gowalla --epochs 1000

``--root`` holds s_adj_mat.npz and test.txt of the split that NGCF and LightGCN
are published on. d = 64, 3 layers, their mean, no edge dropout, Adam 1e-3,
batches of 2048, a penalty of 1e-4 on the embeddings of a batch. There are no
validation pairs: all epochs are trained, and the last weights are tested once.
Published are a Recall@20 of .1824 and an NDCG@20 of .1547 (LightGCN, SGL).
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from timing import machine

from pyg_darec import evaluate, fit
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models import LightGCN

NUM_USERS = 29_858
K = 20


def load(root: Path) -> BipartiteGraph:
    matrix = sparse.load_npz(root / 's_adj_mat.npz').tocsr()
    train = matrix[:NUM_USERS, NUM_USERS:].tocoo()
    pairs = []
    for line in (root / 'test.txt').read_text().splitlines():
        user, *items = map(int, line.split())
        pairs += [(user, item) for item in items]
    return BipartiteGraph(
        torch.from_numpy(np.stack([train.row, train.col]).astype(np.int64)),
        *train.shape,
        edge_label_index={'test': torch.tensor(pairs).t()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--root', type=Path, required=True)
    parser.add_argument('--epochs', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='auto')
    parser.add_argument(
        '--compile', choices=('reduce-overhead', 'default'), help='the step'
    )
    args = parser.parse_args()
    graph = load(args.root)
    torch.manual_seed(args.seed)
    model = LightGCN.from_data(
        graph, 64, combine='mean', edge_dropout=0, reg='batch', reg_weight=1e-4
    )
    start = time.perf_counter()
    result = fit(
        model,
        graph,
        epochs=args.epochs,
        batch_size=2048,
        patience=None,
        seed=args.seed,
        device=args.device,
        compile=args.compile or False,
        eval_every=args.epochs,
    )
    took = time.perf_counter() - start
    seconds = [row['seconds'] for row in result.history]
    first, rest = seconds[0], seconds[1:] or seconds
    low, *_, high = statistics.quantiles(rest, n=20) if rest[1:] else rest * 2
    tested = evaluate(model, graph, 'test', ks=(K,))
    print(
        f'{machine()}, compile {args.compile}\n'
        f'epoch {statistics.median(rest):.3f} s (5 to 95 %: {low:.3f} to '
        f'{high:.3f}; the first took {first:.1f} s), {args.epochs} epochs in '
        f'{took:.0f} s\n'
        f'Recall@{K} {tested[f"Recall@{K}"]:.4f}, '
        f'NDCG@{K} {tested[f"NDCG@{K}"]:.4f}'
    )


if __name__ == '__main__':
    main()
