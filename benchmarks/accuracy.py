"""What each alignment method does for each backbone, on each data set.

    python benchmarks/accuracy.py --output runs/accuracy \\
        --backbones LightGCN SimGCL
    python benchmarks/accuracy.py --output runs/tuned --tune 20 \\
        --datasets online_retail lastfm --lastfm data/hetrec2011-lastfm-2k \\
        --encoder sentence-transformers/all-MiniLM-L6-v2

``--folders`` takes data of your own, as ``pyg-darec prepare`` and ``encode``
leave them in a folder, and so do ``cold.py``, ``parts.py``, ``sensitivity.py``.

Adam, batches of 4096, evaluation every 3 epochs, patience 5 on validation
Recall@20 from 1,000 training steps on (``--min-steps``), one test of the best
weights. Without ``--tune``, everything has its
default and all share ``--lr``. With it, each method and the plain backbone have
as many trials for learning rate, weights of the backbone's penalty and of its
contrast if it has one, and options of the method; the first has the defaults,
the second what was best for the backbone alone. Trials see validation
interactions only.

Every run has a folder of its own, with the metrics of each user: a call that
was killed continues where it was, one that is repeated does only what is
missing, and two calls with other ``--methods`` or ``--backbones`` can share the
work. ``table.md`` and ``gains.png`` show all runs of the data sets that are
finished. A p-value is the larger one of the paired t-tests over users and over
seeds, corrected for all comparisons of a data set (Holm); an interval of a gain
spans both 95 % intervals.

``--backbones PyG-LightGCN`` is that of PyG, which is none of this library, and
``--backbones AlphaRec --methods plain`` a model of profiles alone.
``--objective`` is what rewards interactions instead of the backbone's own.
``--shuffle`` permutes the profiles of users and of items, a control that has
nothing to tell. ``--shuffle items`` permutes those of items alone and gives
each user the mean of those of the user's items: they tell what the user bought,
and nothing else. ``--thin 0.25`` leaves each user a quarter of the training
interactions, and the mean of the profiles of their items.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import torch
from accuracy_report import check_comparable, report
from accuracy_runs import (
    METHODS,
    PLAIN,
    Run,
    add_arguments,
    backbone_name,
    perform,
    record,
    settings,
)
from accuracy_tuning import tune
from data_sets import load_graphs, mean_of_items
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.transforms.grouping import position_in_group, sort_order

# What the data sets are called, and the profiles that are permuted.
SHUFFLED = {
    'both': ('shuffled', ('item', 'user')),
    'items': ('shuffled-items', ('item',)),
}


def shuffled(
    graph: BipartiteGraph, kinds: Sequence[str] = ('item', 'user')
) -> BipartiteGraph:
    """The graph with the profiles of other nodes of these kinds; if these are
    items alone, those of users are made from them.
    """
    generator = torch.Generator().manual_seed(0)
    llm_x = {
        kind: graph.llm_x[kind][
            torch.randperm(graph.llm_x[kind].size(0), generator=generator)
        ]
        for kind in kinds
    }
    if 'user' not in llm_x:
        llm_x['user'] = mean_of_items(
            graph.edge_index, graph.num_users, llm_x['item']
        )
    return changed(graph, llm_x, graph.edge_index)


def thinned(graph: BipartiteGraph, share: float) -> BipartiteGraph:
    """The graph with a share of the training interactions of each user,
    rounded up, and users who are told the mean of the profiles of what is left.
    """
    generator = torch.Generator().manual_seed(0)
    user = graph.edge_index[0]
    key = torch.rand(user.numel(), generator=generator, dtype=torch.double)
    order = sort_order(user, key)
    keep = position_in_group(user, order) < share * graph.user_degree[user]
    edge_index = graph.edge_index[:, order[keep[order]]]
    item = graph.llm_x['item']
    own = mean_of_items(edge_index, graph.num_users, item)
    return changed(graph, {'item': item, 'user': own}, edge_index)


def changed(
    graph: BipartiteGraph, llm_x: dict[str, Tensor], edge_index: Tensor
) -> BipartiteGraph:
    return BipartiteGraph(
        edge_index,
        graph.num_users,
        graph.num_items,
        llm_x=llm_x,
        edge_label_index=graph.edge_label_index,
    )


def tuned(run: Run, graph: BipartiteGraph, args: argparse.Namespace) -> Run:
    """What is best for the backbone alone is among the trials of all methods,
    so that none of them depends on luck to find it.
    """
    found = None
    if run.method != PLAIN:
        alone = tuned(replace(run, method=PLAIN), graph, args)
        found = {'lr': alone.lr, **alone.backbone_options}
    path = args.output / run.folder / 'tuning.json'
    return tune(run, graph, args.tune, path, args.device, found)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_arguments(parser)
    add = parser.add_argument
    add('--backbones', nargs='+', default=['LightGCN', 'SGL', 'SimGCL'])
    add('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    add('--tune', type=int, default=0, metavar='N', help='trials of each')
    add('--thin', type=float, metavar='SHARE', help='of interactions')
    add('--shuffle', nargs='?', const='both', choices=SHUFFLED)
    args = parser.parse_args(argv)
    backbones = [backbone_name(name) for name in args.backbones]

    if args.thin is not None and not 0 < args.thin < 1:
        parser.error(f"'--thin' needs to be in (0, 1) (got {args.thin})")
    graphs = load_graphs(parser, args)
    if args.thin is not None:
        graphs = {
            f'{name}-thin-{args.thin}': thinned(graph, args.thin)
            for name, graph in graphs.items()
        }
    if args.shuffle is not None:
        name, kinds = SHUFFLED[args.shuffle]
        graphs = {f'{k}-{name}': shuffled(g, kinds) for k, g in graphs.items()}
    for dataset, graph in graphs.items():
        for backbone in backbones:
            run = Run(dataset, backbone, PLAIN, **settings(args))
            run = replace(run, num_trials=args.tune)
            check_comparable(args.output / dataset, record(run, graph))
    for dataset, graph in graphs.items():
        for backbone, method in product(backbones, args.methods):
            run = Run(dataset, backbone, method, **settings(args))
            folder = args.output / run.folder
            if args.tune > 0:
                run = tuned(run, graph, args)
            for seed in args.seeds:
                own = folder / f'seed-{seed}'
                perform(replace(run, seed=seed), graph, own, args.device)
    print(f'\n{report(args.output, graphs)}')


if __name__ == '__main__':
    main()
