"""A training step of LightGCN, sampling included, against a plain one.

    python benchmarks/training_step.py [--root data/yelp]

With ``--root`` on the Yelp data (matrices in ``root/raw``), without it on
random interactions of the same size. Batch 4096, d = 32, 3 layers, edge
dropout 0.2. The plain implementation is what research code does: a COO
adjacency matrix of all nodes, dropout that makes and coalesces a new one in
every step, ``torch.sparse.mm``, and a ``DataLoader`` that takes samples one by
one and draws negatives by rejection in Python. Both are timed over whole
epochs, in turns.
"""

import argparse
import json
from collections.abc import Iterator

import torch
from plain_models import PlainGraph, lightgcn
from timing import alternate, describe, machine, print_speedup, summary
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyg_darec.datasets import Yelp
from pyg_darec.graph import BipartiteGraph, as_graph
from pyg_darec.loader import PairLoader
from pyg_darec.nn.models import LightGCN

BATCH, DIM, LAYERS, DROPOUT, REG = 4096, 32, 3, 0.2, 1e-6


class Pairs(Dataset[tuple[int, int, int]]):
    """Positive pairs, each with a negative that is drawn when asked for."""

    def __init__(self, graph: BipartiteGraph) -> None:
        self.pairs = graph.edge_index.t().tolist()
        self.seen = {(u, i) for u, i in self.pairs}
        self.num_items = graph.num_items

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[int, int, int]:
        user, pos = self.pairs[index]
        while True:
            neg = int(torch.randint(self.num_items, ()))
            if (user, neg) not in self.seen:
                return user, pos, neg


def graph_of(root: str | None) -> BipartiteGraph:
    if root is not None:
        return as_graph(Yelp(root)[0])
    torch.manual_seed(0)
    pairs = torch.stack(
        [torch.randint(n, (167_000,)) for n in (11_091, 11_010)]
    )
    return BipartiteGraph(pairs, 11_091, 11_010)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--root', help='holds raw/trn_mat.pkl')
    parser.add_argument('--rounds', type=int, default=5, help='epochs')
    parser.add_argument('--json', help='a file to write the figures to')
    args = parser.parse_args()
    graph = graph_of(args.root)
    torch.manual_seed(0)

    ours, other = (
        LightGCN(
            graph.num_users,
            graph.num_items,
            DIM,
            LAYERS,
            edge_dropout=DROPOUT,
            reg_weight=REG,
        )
        for _ in range(2)
    )
    adam = torch.optim.Adam(ours.parameters(), lr=1e-3, fused=True)
    pairs = PairLoader(graph, BATCH)

    def our_epoch() -> None:
        for batch in pairs:
            adam.zero_grad()
            ours.loss(graph, batch)[0].backward()
            adam.step()

    # The parameters of a model of ours, and nothing else of it.
    plain_loss = lightgcn(other, PlainGraph(graph))
    plain_adam = torch.optim.Adam(other.parameters(), lr=1e-3)
    loader = DataLoader(Pairs(graph), BATCH, shuffle=True)

    def plain_epoch() -> None:
        batches: Iterator[list[Tensor]] = iter(loader)
        for user, pos, neg in batches:
            plain_adam.zero_grad()
            plain_loss((user, pos, neg)).backward()
            plain_adam.step()

    print(machine())
    print(
        f'{graph}, batch {BATCH}, d = {DIM}, {LAYERS} layers, '
        f'{len(pairs)} steps an epoch; time of a step, sampling included'
    )
    seconds = alternate(
        {'pyg_darec': our_epoch, 'plain': plain_epoch}, args.rounds, warmup=1
    )
    figures: dict[str, object] = {'machine': machine(), 'graph': repr(graph)}
    for name, values in seconds.items():
        steps = [value / len(pairs) for value in values]
        figures[name] = summary(steps)
        print(f'{name:>10} {describe(steps)}')
    figures['speedup'] = print_speedup(seconds, 'plain', 'pyg_darec', 10)

    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=1)


if __name__ == '__main__':
    main()
