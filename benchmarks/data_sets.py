"""The data sets of the benchmarks of accuracy."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from lastfm import load_lastfm
from ml100k import load_ml100k
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.datasets import OnlineRetail, load_data
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import normalize

# Those with texts that are encoded here, and what reads them.
LOADERS: dict[str, Callable[..., HeteroData]] = {
    'lastfm': load_lastfm,
    'ml100k': load_ml100k,
}
DATASETS = ('online_retail', *LOADERS)
MIN_ITEMS = 20


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--datasets', nargs='+', choices=DATASETS, default=[])
    add(
        '--folders',
        nargs='+',
        type=Path,
        default=[],
        metavar='DATA',
        help="more data sets, of 'pyg-darec prepare' and 'encode'; without "
        'any, online_retail',
    )
    add('--root', default='data/online-retail', help='of online_retail')
    add('--lastfm', metavar='ROOT', help='holds artists.dat')
    add('--ml100k', metavar='ROOT', help='holds ml-100k.inter')
    add('--encoder', metavar='MODEL', help='of the texts of these two')


def load_graphs(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> dict[str, BipartiteGraph]:
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    graphs: dict[str, BipartiteGraph] = {}
    names = args.datasets or ([] if args.folders else DATASETS[:1])
    for name in names:
        if name == 'online_retail':
            data = OnlineRetail(args.root)[0]
        else:
            root = getattr(args, name)
            if root is None or args.encoder is None:
                parser.error(f'{name} needs --{name} ROOT and --encoder MODEL')
            cache = args.output / 'texts'
            data = LOADERS[name](root, 0, args.encoder, cache)
        graphs[name] = as_graph(data)
    for folder in args.folders:
        name = folder.resolve().name
        if name in graphs:
            parser.error(f"two data sets are called '{name}'; rename {folder}")
        try:
            graph = graphs[name] = as_graph(load_data(folder))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        if 'item' not in graph.llm_x:
            parser.error(f"{folder} has no embeddings; run 'pyg-darec encode'")
        for split in ('val', 'test'):
            if graph.edge_label_index[split].numel() == 0:
                parser.error(f'{folder} needs interactions in its {split} part')
        if graph.num_items < MIN_ITEMS:
            parser.error(
                f'{folder} needs at least {MIN_ITEMS} items for Recall@20 '
                f'(got {graph.num_items})'
            )
    return graphs


def mean_of_items(edge_index: Tensor, num_users: int, item: Tensor) -> Tensor:
    """Profiles of users that say what those of their items do."""
    x = normalize(item.float())
    total = x.new_zeros(num_users, x.size(1))
    return normalize(total.index_add_(0, edge_index[0], x[edge_index[1]]))
