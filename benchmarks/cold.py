"""Items or users without a single interaction, ranked or recommended to by
their profiles alone.

    python benchmarks/cold.py --output runs/cold

A fifth of the items, or of the users, drawn anew for each seed, is held out
with all its interactions; the models are trained on the rest with the protocol
of ``accuracy.py``.

For each user with such interactions and with one of a held-out item, the
held-out items are ranked among themselves. Profiles of users are made from the
items of their remaining training interactions: text of the whole training set
would name the items held out.

For each held-out user, all items are ranked but those of training interactions,
from which the profile was made; those of validation and test are looked for.

- random, for items; popularity, for users;
- content: by the cosine of profiles, less the mean of all of their kind; with
  cold items, the profile of a user is the mean of the user's items;
- item-kNN or user-kNN: by the sum or the mean of the similarities to those of
  the k nearest by profiles that have an interaction with the other side; the
  better of the two and the best k for a further tenth, held out of the rest;
- LightGCN: by the inner product with what a ridge regression, or a regression
  kriging, from profiles to the embeddings of the others predicts;
- DaRec: by ``DaRecAlign.embed_profiles``, which is such a kriging too.

The p-values are those over seeds, corrected for all comparisons of a table
(Holm).
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from accuracy_report import row, save_tables, spread
from accuracy_runs import (
    OURS,
    PLAIN,
    Run,
    add_arguments,
    check_settings,
    record,
    settings,
    train,
    write_json,
)
from cold_split import KINDS, Kind, Split, hold_out, recall
from data_sets import MIN_ITEMS, load_graphs
from torch import Tensor

from pyg_darec import DaRecAlign
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import Comparison, compare, holm
from pyg_darec.nn.functional import (
    normalize,
    regression_kriging,
    ridge_regression,
)

NEIGHBORS = (10, 50, 200)
METRIC = 'Recall@20'
SHARE = 0.2  # of the nodes, which is held out
# Of what is left, by which neighbours are chosen: a tenth of all.
INNER = 1 / 8
_OWN = 'method', 'seed', 'patience', 'method_options', 'defaults'


def random(split: Split, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = split.warm.num_users, split.cold_x.size(0)
    return torch.rand(size, generator=generator)


def popularity(split: Split, seed: int) -> Tensor:
    return split.warm.item_degree.float().expand(split.cold_x.size(0), -1)


def centred(x: Tensor, of: Tensor) -> Tensor:
    """Profiles less the mean of some."""
    return normalize(normalize(x.float()) - normalize(of.float()).mean(dim=0))


def content(split: Split, seed: int = 0) -> Tensor:
    item = split.warm.llm_x['item']
    item = centred(item, item)
    if split.kind == 'user':
        return centred(split.cold_x, split.warm.llm_x['user']) @ item.t()
    cold = centred(split.cold_x, split.warm.llm_x['item'])
    return normalize(split.interactions @ item) @ cold.t()


def nearest(split: Split, k: int, mean: bool) -> Tensor:
    warm = split.warm.llm_x[split.kind]
    cold, warm = centred(split.cold_x, warm), centred(warm, warm)
    value, near = (cold @ warm.t()).topk(min(k, warm.size(0)), dim=1)
    value = value.clamp(min=0)
    if mean:
        value = value / value.sum(dim=1, keepdim=True).clamp(min=1e-12)
    weight = value.new_zeros(cold.size(0), warm.size(0))
    weight = weight.scatter_(1, near, value)
    if split.kind == 'user':
        return weight @ split.interactions
    return split.interactions @ weight.t()


def choose_nearest(split: Split, seed: int) -> dict[str, Any]:
    inner = hold_out(split.warm, split.kind, INNER, seed)
    choices = [{'k': k, 'mean': m} for k in NEIGHBORS for m in (False, True)]
    return max(choices, key=lambda c: recall(nearest(inner, **c), inner))


def ridge(split: Split, embedding: Tensor) -> Tensor:
    """Embeddings of cold nodes from those of warm ones."""
    known = degree(split) > 0
    x = normalize(split.warm.llm_x[split.kind].float())
    fitted = ridge_regression(x[known], embedding[known])
    return fitted(normalize(split.cold_x.float()))


def kriging(split: Split, embedding: Tensor) -> Tensor:
    """The same as ``DaRecAlign.embed_profiles`` does it."""
    x = split.warm.llm_x[split.kind].to(embedding.dtype)
    known = (degree(split) > 0) & x.any(dim=-1)
    fitted = regression_kriging(x[known], embedding[known])
    return fitted(split.cold_x.to(embedding))


def degree(split: Split) -> Tensor:
    warm = split.warm
    return warm.user_degree if split.kind == 'user' else warm.item_degree


Score = Callable[[Split, int], Tensor]
Predict = Callable[[Split, Tensor], Tensor]
SCORES: dict[Kind, dict[str, Score]] = {
    'item': {'random': random, 'content': content},
    'user': {'popularity': popularity, 'content': content},
}
PREDICTED: dict[str, Predict] = {
    'LightGCN + ridge': ridge,
    'LightGCN + kriging': kriging,
}


def methods(kind: Kind) -> list[str]:
    """The baselines, and ours."""
    return [*SCORES[kind], f'{kind}-kNN', *PREDICTED, OURS]


def learned(method: str, split: Split, model: torch.nn.Module) -> Tensor:
    place = next(model.parameters()).device
    with torch.no_grad():
        pair = list(model(split.warm.to(place)))
    if method == OURS:
        assert isinstance(model, DaRecAlign)
        cold = model.embed_profiles(split.cold_x.to(place), split.kind)
        pair[split.axis] = cold
    else:
        pair = [x.float().cpu() for x in pair]
        pair[split.axis] = PREDICTED[method](split, pair[split.axis])
    user, item = pair
    return (user @ item.t()).float().cpu()


def measure(
    method: str,
    split: Split,
    seed: int,
    trained: Callable[[str], torch.nn.Module],
) -> tuple[float, dict[str, Any]]:
    """The recall of a method, and what it chose."""
    if method in SCORES[split.kind]:
        return recall(SCORES[split.kind][method](split, seed), split), {}
    if method == f'{split.kind}-kNN':
        chosen = choose_nearest(split, seed)
        return recall(nearest(split, **chosen), split), chosen
    model = trained(OURS if method == OURS else PLAIN)
    return recall(learned(method, split, model), split), {}


def table(dataset: str, kind: Kind, folder: Path) -> str:
    """The gain of DaRec over the others, with the interval over seeds."""
    found: dict[str, dict[str, float]] = {}
    first: dict[str, Any] = {}
    for method in methods(kind):
        paths = sorted((folder / method).glob('seed-*.json'))
        if paths:
            results = {p.stem: json.loads(p.read_text()) for p in paths}
            for path, result in zip(paths, results.values(), strict=True):
                run = result['run']
                first = first or run
                own = {key: run.get(key) for key in _OWN}
                check_settings(path, run, {**first, **own})
            found[method] = {k: r[METRIC] for k, r in results.items()}
    title = f'{dataset}, cold {kind}s'
    lines = [
        row(title, 'seeds', METRIC, f'{OURS} / this', 'p'),
        row('---', *['---:'] * 4),
    ]
    others = {m: values for m, values in found.items() if m != OURS}
    compared = against(found.get(OURS, {}), others)
    for method, values in found.items():
        cells = str(len(values)), spread(list(values.values()))
        lines.append(row(method, *cells, *show(compared.get(method))))
    return '\n'.join(lines) + '\n'


def against(
    ours: Mapping[str, float], others: Mapping[str, Mapping[str, float]]
) -> dict[str, Comparison]:
    """DaRec over those that share two seeds with it; p-values by Holm's
    method.
    """
    found = {}
    for method, values in others.items():
        seeds = sorted(ours.keys() & values.keys())
        if len(seeds) > 1:
            a, b = ([[m[seed]] for seed in seeds] for m in (ours, values))
            x, y = torch.tensor(a), torch.tensor(b)
            found[method] = compare(x, y, over='seeds')
    adjusted = holm([c.p_value for c in found.values()])
    return {
        method: c._replace(p_value=p_value)
        for (method, c), p_value in zip(found.items(), adjusted, strict=True)
    }


def show(c: Comparison | None) -> tuple[str, str]:
    if c is None:
        return '', ''
    low, high = 1 + c.low, 1 + c.high
    return f'{1 + c.gain:.2f} ({low:.2f} to {high:.2f})', f'{c.p_value:.2g}'


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_arguments(parser)
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=KINDS)
    args = parser.parse_args(argv)
    graphs = load_graphs(parser, args)
    num_warm = {
        k: v.num_items - int(SHARE * v.num_items) for k, v in graphs.items()
    }
    num_cold = {k: int(INNER * num) for k, num in num_warm.items()}
    few = [k for k, num in num_cold.items() if num <= MIN_ITEMS]
    if 'item' in args.kinds and few:
        parser.error(
            f'{METRIC} needs more than {MIN_ITEMS} items that are held out, '
            f'also to choose neighbours by, and those of {few} are not as many'
        )
    texts = []
    for dataset, graph in graphs.items():
        for kind in args.kinds:
            folder = args.output / dataset / kind
            for seed in args.seeds:
                perform(folder, dataset, graph, kind, seed, args)
            texts.append(table(dataset, kind, folder))
    print(f'\n{save_tables(args.output, texts)}')


def perform(
    folder: Path,
    dataset: str,
    graph: BipartiteGraph,
    kind: Kind,
    seed: int,
    args: argparse.Namespace,
) -> None:
    """Everything that is missing of a seed."""
    runs = {
        method: Run(dataset, 'LightGCN', method, seed, **settings(args))
        for method in (PLAIN, OURS)
    }

    @cache  # not at all where everything is there
    def split() -> Split:
        return hold_out(graph, kind, SHARE, seed)

    @cache  # one LightGCN for all that predict from it
    def trained(method: str) -> torch.nn.Module:
        return train(runs[method], split().warm, args.device)[0]

    for method in methods(kind):
        path = folder / method / f'seed-{seed}.json'
        made_with = record(runs[OURS if method == OURS else PLAIN], graph)
        if path.exists():
            known = json.loads(path.read_text())['run']
            check_settings(path, known, made_with)
            continue
        print(f'{dataset}, cold {kind}s, {method}, seed {seed}', flush=True)
        value, chosen = measure(method, split(), seed, trained)
        write_json(path, {'run': made_with, METRIC: value, 'chosen': chosen})


if __name__ == '__main__':
    main()
