"""A training step of every backbone beside a plain version of the same model.

    python benchmarks/steps.py [--root data/yelp]

With ``--root`` on the Yelp data (matrices in ``root/raw``), without it on
random interactions of the same size. Batch 4096, d = 32, settings of the Yelp
recipes. The plain versions are in ``plain_models.py``; they share the
parameters of ours, so that losses in which nothing is random have to agree,
which is checked first. Both sides are given the same batch and timed in turns:
loss, backward, and the step of the optimizer, after two untimed steps of the
same side. What a model renews between steps (masks, clusters) is made before
and not timed.
"""

import argparse
import json
from typing import Any

import torch
from plain_models import PLAIN, PlainGraph
from timing import alternate, describe, machine, print_speedup, summary

from pyg_darec.as_graph import as_graph
from pyg_darec.datasets import Yelp
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader
from pyg_darec.recipes import load_recipe

# Of losses of the two sides, in which nothing is random.
TOLERANCE = 1e-5
# What a recipe draws at random, switched off for the check of the losses.
QUIET: dict[str, dict[str, float]] = {
    'LightGCN': {'edge_dropout': 0.0},
    'NGCF': {'message_dropout': 0.0},
    'SGL': {'drop_ratio': 0.0},
    'SimGCL': {'eps': 0.0},
    'LightGCL': {'edge_dropout': 0.0},
}


def graph_of(root: str | None) -> BipartiteGraph:
    if root is not None:
        return as_graph(Yelp(root)[0])
    torch.manual_seed(0)
    pairs = torch.stack(
        [torch.randint(n, (167_000,)) for n in (11_091, 11_010)]
    )
    return BipartiteGraph(pairs, 11_091, 11_010)


def compare(name: str, graph: Any, rounds: int, batch: Any) -> dict[str, Any]:
    plain_graph = PlainGraph(graph)

    def losses(**options: Any) -> tuple[Any, Any, Any]:
        torch.manual_seed(0)
        model = load_recipe('yelp', name).build(graph, **options)
        # An epoch in which nothing is warming up any more.
        model.renew(graph, 100, 0)
        model.renew(graph, 100, 1)
        plain = PLAIN[name](model, plain_graph)
        return model, lambda: model.loss(graph, batch)[0], lambda: plain(batch)

    _, ours, theirs = losses(**QUIET.get(name, {}))
    with torch.no_grad():
        difference = float((ours() - theirs()).abs() / ours())
    if not difference < TOLERANCE:
        raise SystemExit(f'{name}: losses differ by {difference:.1e}')
    model, ours, theirs = losses()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step(loss: Any) -> None:
        adam.zero_grad()
        loss().backward()
        adam.step()

    seconds = alternate(
        {'pyg_darec': lambda: step(ours), 'plain': lambda: step(theirs)},
        rounds,
        warmup=1,
        settle=2,
    )
    print(f'\n{name}: losses differ by {difference:.1e}')
    for side, values in seconds.items():
        print(f'{side:>10} {describe(values)}')
    ratio = print_speedup(seconds, 'plain', 'pyg_darec', 10)
    figures: dict[str, Any] = {k: summary(v) for k, v in seconds.items()}
    return {**figures, 'speedup': ratio, 'difference': difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--root', help='holds raw/trn_mat.pkl')
    parser.add_argument('--models', nargs='+', default=list(PLAIN))
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--json', help='a file to write the figures to')
    args = parser.parse_args()
    graph = graph_of(args.root)
    batch = next(iter(PairLoader(graph, 4096)))
    print(f'{machine()}\n{graph}, batch 4096, d = 32')
    figures: dict[str, Any] = {'machine': machine(), 'graph': repr(graph)}
    for name in args.models:
        figures[name] = compare(name, graph, args.rounds, batch)
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=1)


if __name__ == '__main__':
    main()
