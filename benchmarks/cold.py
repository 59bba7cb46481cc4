"""Items without a single interaction, ranked by their profiles alone.

    python benchmarks/cold.py --output runs/cold

A fifth of the items, drawn anew for each seed, is held out with all their
interactions. Profiles of users are made from the items of their remaining
training interactions: text of the whole training set would name the items held
out. The models are trained with the protocol of ``accuracy.py``. For each user
with such interactions and with one of a held-out item, the held-out items are
ranked among themselves:

- random;
- content: by the cosine with the mean profile of the user's items, less the
  mean of all profiles;
- item-kNN: by the sum or the mean of the similarities to the user's items
  among the k items with the nearest profiles; the better of the two and the
  best k for a further tenth of the items, held out of the rest;
- LightGCN: by the inner product with what a ridge regression, or a regression
  kriging, from profiles to the embeddings of the other items predicts;
- DaRec: by ``DaRecAlign.embed_profiles``, which is such a kriging too.

The p-values are those over seeds, corrected for all comparisons of a data set
(Holm).
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accuracy_report import row, save_tables, spread
from accuracy_runs import (
    OURS,
    PLAIN,
    Run,
    add_arguments,
    check_settings,
    load_graphs,
    record,
    settings,
    train,
    write_json,
)
from torch import Tensor

from pyg_darec import DaRecAlign
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import Comparison, compare, holm, ranking_metrics
from pyg_darec.nn.functional import (
    normalize,
    regression_kriging,
    ridge_regression,
)

NEIGHBORS = (10, 50, 200)
METRIC = 'Recall@20'


class Split(NamedTuple):
    """Warm items with their interactions, and cold ones with their profiles."""

    warm: BipartiteGraph
    cold_x: Tensor
    label: Tensor
    """Users and cold items that belong together, (2, L)."""

    @property
    def bought(self) -> Tensor:
        """The training interactions as a matrix of users and warm items."""
        out = torch.zeros(self.warm.num_users, self.warm.num_items)
        out[self.warm.edge_index[0], self.warm.edge_index[1]] = 1
        return out


def hold_out(graph: BipartiteGraph, share: float, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(graph.num_items, generator=generator)
    num_cold = max(int(share * graph.num_items), 1)
    cold, warm = order[:num_cold], order[num_cold:].sort().values
    position = torch.full((graph.num_items,), -1)
    position[warm] = torch.arange(warm.numel())

    def kept(pairs: Tensor) -> Tensor:
        pairs = torch.stack([pairs[0], position[pairs[1]]])
        return pairs[:, pairs[1] >= 0]

    pairs = kept(graph.edge_index)
    x = normalize(graph.llm_x['item'].float())
    total = x.new_zeros(graph.num_users, x.size(1))
    total.index_add_(0, pairs[0], x[warm][pairs[1]])
    rest = BipartiteGraph(
        pairs,
        graph.num_users,
        warm.numel(),
        llm_x={'user': normalize(total), 'item': graph.llm_x['item'][warm]},
        edge_label_index={'val': kept(graph.edge_label_index['val'])},
    )

    place = torch.full((graph.num_items,), -1)
    place[cold] = torch.arange(num_cold)
    label = torch.cat([graph.edge_index, *graph.edge_label_index.values()], 1)
    label = torch.stack([label[0], place[label[1]]])
    known = (label[1] >= 0) & (rest.user_degree[label[0]] > 0)
    return Split(rest, graph.llm_x['item'][cold], label[:, known].unique(dim=1))


def recall(score: Tensor, split: Split) -> float:
    """The average over users with cold items, of scores (U, cold items)."""
    users, example = split.label[0].unique(return_inverse=True)
    k = min(20, score.size(1))
    top = score[users].topk(k, dim=1).indices
    label = torch.stack([example, split.label[1]])
    values, _ = ranking_metrics(top, label, [k], score.size(1))
    return float(values[f'Recall@{k}'].mean())


def centred(split: Split) -> tuple[Tensor, Tensor]:
    """Profiles of warm and of cold items, less the mean of the warm ones."""
    warm = normalize(split.warm.llm_x['item'].float())
    cold, mean = normalize(split.cold_x.float()), warm.mean(dim=0)
    return normalize(warm - mean), normalize(cold - mean)


def content(split: Split) -> Tensor:
    warm, cold = centred(split)
    return normalize(split.bought @ warm) @ cold.t()


def item_knn(split: Split, k: int, mean: bool) -> Tensor:
    warm, cold = centred(split)
    value, near = (cold @ warm.t()).topk(min(k, warm.size(0)), dim=1)
    value = value.clamp(min=0)
    if mean:
        value = value / value.sum(dim=1, keepdim=True).clamp(min=1e-12)
    weight = value.new_zeros(cold.size(0), warm.size(0))
    return split.bought @ weight.scatter_(1, near, value).t()


def choose_knn(split: Split, seed: int) -> dict[str, Any]:
    # An eighth of the four fifths is a tenth of all.
    inner = hold_out(split.warm, 1 / 8, seed)
    choices = [{'k': k, 'mean': m} for k in NEIGHBORS for m in (False, True)]
    return max(choices, key=lambda c: recall(item_knn(inner, **c), inner))


def ridge(split: Split, item: Tensor) -> Tensor:
    """Embeddings of cold items from those of warm ones."""
    known = split.warm.item_degree > 0
    x = normalize(split.warm.llm_x['item'].float())
    fitted = ridge_regression(x[known], item[known])
    return fitted(normalize(split.cold_x.float()))


def kriging(split: Split, item: Tensor) -> Tensor:
    """The same as ``DaRecAlign.embed_profiles`` does it."""
    x = split.warm.llm_x['item'].to(item.dtype)
    known = (split.warm.item_degree > 0) & x.any(dim=-1)
    return regression_kriging(x[known], item[known])(split.cold_x.to(item))


PREDICTED = {'LightGCN + ridge': ridge, 'LightGCN + kriging': kriging}
BASELINES = ('random', 'content', 'item-kNN', *PREDICTED)


def learned(
    run: Run,
    split: Split,
    device: str,
    predict: Callable[[Split, Tensor], Tensor] | None,
) -> Tensor:
    model, _ = train(run, split.warm, device)
    place = next(model.parameters()).device
    with torch.no_grad():
        user, item = model(split.warm.to(place))
    if predict is None:
        assert isinstance(model, DaRecAlign)
        cold = model.embed_profiles(split.cold_x.to(place))
        return (user @ cold.t()).float().cpu()
    user, item = user.float().cpu(), item.float().cpu()
    return user @ predict(split, item).t()


def measure(
    run: Run, method: str, split: Split, device: str
) -> tuple[float, dict[str, Any]]:
    """The recall of a method, and what it chose."""
    if method == 'random':
        generator = torch.Generator().manual_seed(run.seed)
        size = split.warm.num_users, split.cold_x.size(0)
        return recall(torch.rand(size, generator=generator), split), {}
    if method == 'content':
        return recall(content(split), split), {}
    if method == 'item-kNN':
        chosen = choose_knn(split, run.seed)
        return recall(item_knn(split, **chosen), split), chosen
    predict = PREDICTED.get(method)
    return recall(learned(run, split, device, predict), split), {}


def table(dataset: str, folder: Path) -> str:
    """The gain of DaRec over the others, with the interval over seeds."""
    found: dict[str, dict[str, float]] = {}
    for method in (*BASELINES, OURS):
        paths = sorted((folder / method).glob('seed-*.json'))
        if paths:
            results = {p.stem: json.loads(p.read_text()) for p in paths}
            found[method] = {k: r[METRIC] for k, r in results.items()}
    lines = [
        row(f'{dataset}, cold items', 'seeds', METRIC, f'{OURS} / this', 'p'),
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
    args = parser.parse_args(argv)
    texts = []
    for dataset, graph in load_graphs(parser, args).items():
        folder = args.output / dataset
        for seed, method in product(args.seeds, (*BASELINES, OURS)):
            path = folder / method / f'seed-{seed}.json'
            trained = OURS if method == OURS else PLAIN
            run = Run(dataset, 'LightGCN', trained, seed, **settings(args))
            made_with = record(run, graph)
            if path.exists():
                known = json.loads(path.read_text())['run']
                check_settings(path, known, made_with)
                continue
            print(f'{dataset}, {method}, seed {seed}', flush=True)
            split = hold_out(graph, 0.2, seed)
            value, chosen = measure(run, method, split, args.device)
            outcome = {'run': made_with, METRIC: value, 'chosen': chosen}
            write_json(path, outcome)
        texts.append(table(dataset, folder))
    print(f'\n{save_tables(args.output, texts)}')


if __name__ == '__main__':
    main()
