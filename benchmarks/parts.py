"""Where specific and shared parts lie, by t-SNE.

    python benchmarks/parts.py --output runs/parts

Trains DaRec around LightGCN, in its default and its literal form
(``preset='paper'``), with the protocol of ``accuracy.py``, and draws the parts
of items: on the left each part in a colour of its own, on the right the nodes
by k-means clusters of the shared part of profiles. The files are
``<data set>-<method>-<seed>.png``.
"""

import argparse
from collections.abc import Sequence

from accuracy_runs import (
    OURS,
    PAPER,
    Run,
    add_arguments,
    settings,
    train,
)
from data_sets import load_graphs

from pyg_darec import DaRecAlign
from pyg_darec.io import atomic_write
from pyg_darec.visualize import plot_parts

# The part whose clusters the nodes are coloured by.
SHARED = {OURS: 'shared', PAPER: 'llm_shared'}
SAMPLES = 1000


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_arguments(parser)
    parser.set_defaults(seeds=[0])
    args = parser.parse_args(argv)
    for dataset, graph in load_graphs(parser, args).items():
        for method, shared in SHARED.items():
            for seed in args.seeds:
                run = Run(
                    dataset, 'LightGCN', method, seed=seed, **settings(args)
                )
                model, _ = train(run, graph, args.device)
                assert isinstance(model, DaRecAlign)
                device = next(model.parameters()).device
                parts = model.parts(graph.to(device))
                figure = plot_parts(
                    {name: item for name, (_, item) in parts.items()},
                    num_samples=SAMPLES,
                    cluster_by=shared,
                    title=f'{dataset}, items, {method}',
                )
                path = args.output / f'{dataset}-{method}-{seed}.png'
                with atomic_write(path) as part:
                    figure.savefig(part, dpi=100)
                print(path, flush=True)


if __name__ == '__main__':
    main()
