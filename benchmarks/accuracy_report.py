"""What the finished runs of ``accuracy.py`` say: tables and a figure."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from accuracy_runs import (
    METHODS,
    METRICS,
    OURS,
    PLAIN,
    Result,
    check_settings,
    read,
)

from pyg_darec.io import atomic_write
from pyg_darec.metrics import compare, holm

Seeds: TypeAlias = Mapping[int, Result]
Key: TypeAlias = tuple[str, str]  # backbone and method

# What the runs of a table need to have in common.
COMMON = (
    'data',
    'dim',
    'epochs',
    'batch_size',
    'precision',
    'objective',
    'eval_every',
    'min_steps',
    'num_trials',
    'version',
)


class Contrast(NamedTuple):
    """How much better one method is than another on the same backbone."""

    backbone: str
    method: str
    other: str
    metric: str
    gain: float
    low: float
    high: float
    p_value: float


def difference(run: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """What keeps two runs out of one table."""
    other = [k for k in COMMON if run.get(k) != base.get(k)]
    # A backbone may have its own, and tuning finds one for each method.
    if run['num_trials'] == 0 and run['backbone'] == base['backbone']:
        own = 'lr', 'backbone_options'
        other += [k for k in own if run[k] != base[k]]
    return other


def check_comparable(folder: Path, run: Mapping[str, Any]) -> None:
    """Whether a run to come fits into the table of those that are done, which
    is better known before it than after it.
    """
    for path in sorted(folder.glob('*/*/seed-*/result.json')):
        known = json.loads(path.read_text())['run']
        other = difference(run, known)
        a, b = ({k: x.get(k) for k in other} for x in (known, run))
        check_settings(path.parent, a, b)


def collect(folder: Path) -> dict[Key, dict[int, Result]]:
    """The finished runs of a data set."""
    found: dict[Key, dict[int, Result]] = {}
    first: Result | None = None
    bases: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob('*/*/seed-*/result.json')):
        result = read(path.parent)
        run = result.info['run']
        first = first or result
        other = difference(run, first.info['run'])
        other = other or difference(run, bases.setdefault(run['backbone'], run))
        if other or not torch.equal(result.user, first.user):
            raise ValueError(
                f"'{path}' cannot be compared with the other runs in "
                f"'{folder}': delete it (got another {other or 'users'})"
            )
        key = run['backbone'], run['method']
        found.setdefault(key, {})[run['seed']] = result
    return found


def average(seeds: Seeds, metric: str) -> list[float]:
    return [float(r.per_user[metric].mean()) for r in seeds.values()]


def contrast(
    runs: Mapping[Key, Seeds],
    backbone: str,
    method: str,
    other: str,
    metric: str,
) -> Contrast | None:
    """Over users and over those seeds that both have. The p-value is the
    larger one, the interval spans both. One seed says nothing about others:
    the p-value is not a number then.
    """
    a, b = runs[backbone, method], runs[backbone, other]
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    x, y = (
        torch.stack([m[seed].per_user[metric] for seed in seeds])
        for m in (a, b)
    )
    found = [compare(x, y, over='users')]
    if len(seeds) > 1:
        found.append(compare(x, y, over='seeds'))
    return Contrast(
        backbone,
        method,
        other,
        metric,
        found[0].gain,
        min(c.low for c in found),
        max(c.high for c in found),
        max(c.p_value for c in found) if len(seeds) > 1 else math.nan,
    )


def contrasts(runs: Mapping[Key, Seeds]) -> list[Contrast]:
    """All comparisons of a table: every method with the plain backbone, and
    DaRec with the best other method on the same backbone, which is chosen by
    its test result. The p-values are corrected for their number.
    """
    found = []
    for backbone, metric in product(backbones(runs), METRICS):
        here = [m for m in METHODS if (backbone, m) in runs]
        if PLAIN in here:
            found += [
                contrast(runs, backbone, m, PLAIN, metric)
                for m in here
                if m != PLAIN
            ]
        others = [m for m in here if m not in (PLAIN, OURS)]
        if OURS in here and others:
            best = best_of(others, runs, backbone, metric)
            found.append(contrast(runs, backbone, OURS, best, metric))
    return correct(c for c in found if c is not None)


def best_of(
    others: Iterable[str],
    runs: Mapping[Key, Seeds],
    backbone: str,
    metric: str,
) -> str:
    """By the seeds that DaRec has as well; of those with several, if any."""
    ours = runs[backbone, OURS].keys()
    means = {}
    for method in others:
        seeds = runs[backbone, method]
        shared = {n: result for n, result in seeds.items() if n in ours}
        mean = statistics.fmean(average(shared or seeds, metric))
        means[method] = min(len(shared), 2), mean
    return max(means, key=means.__getitem__)


def correct(found: Iterable[Contrast]) -> list[Contrast]:
    """The same with p-values by Holm's method."""
    found = list(found)
    tested = [n for n, c in enumerate(found) if not math.isnan(c.p_value)]
    adjusted = holm([found[n].p_value for n in tested])
    for n, p_value in zip(tested, adjusted, strict=True):
        found[n] = found[n]._replace(p_value=p_value)
    return found


def backbones(runs: Mapping[Key, Seeds]) -> list[str]:
    return list(dict.fromkeys(backbone for backbone, _ in runs))


def spread(values: list[float]) -> str:
    mean = f'{statistics.fmean(values):.4f}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.4f}'


def show_gain(c: Contrast | None) -> tuple[str, str]:
    if c is None:
        return '', ''
    p_value = f'{c.p_value:.2g}' if c.p_value >= 1e-3 else '< 0.001'
    return (
        f'{c.gain:+.1%} ({c.low:+.1%} to {c.high:+.1%})',
        '' if math.isnan(c.p_value) else p_value,
    )


def row(*cells: str) -> str:
    return f'| {" | ".join(cells)} |'


def tables(
    dataset: str, runs: Mapping[Key, Seeds], found: list[Contrast]
) -> str:
    by = {(c.backbone, c.method, c.other, c.metric): c for c in found}
    columns = [h for m in METRICS for h in (m, 'gain', 'p')]
    lines = [
        row(dataset, 'method', 'seeds', *columns),
        row(*['---'] * 3, *['---:'] * len(columns)),
    ]
    for backbone, method in product(backbones(runs), METHODS):
        if (backbone, method) not in runs:
            continue
        seeds = runs[backbone, method]
        cells = [backbone, method, str(len(seeds))]
        for metric in METRICS:
            gain = by.get((backbone, method, PLAIN, metric))
            cells += [spread(average(seeds, metric)), *show_gain(gain)]
        lines.append(row(*cells))
    lines += [
        '',
        row(dataset, 'metric', 'best other', f'gain of {OURS}', 'p'),
        row(*['---'] * 3, *['---:'] * 2),
    ]
    for c in found:
        if c.other != PLAIN:
            lines.append(row(c.backbone, c.metric, c.other, *show_gain(c)))
    return '\n'.join(lines) + '\n'


def report(output: Path, datasets: Iterable[str]) -> str:
    """Writes table.md and gains.png of all finished runs on these data sets;
    returns the tables.
    """
    texts, gains = [], {}
    for dataset in datasets:
        runs = collect(output / dataset)
        found = contrasts(runs)
        texts.append(tables(dataset, runs, found))
        gains[dataset] = [c for c in found if c.other == PLAIN]
    text = save_tables(output, texts)
    if any(gains.values()):
        plot(gains, output / 'gains.png')
    return text


def save_tables(output: Path, texts: Iterable[str]) -> str:
    """Writes table.md of a table of each data set; returns what is in it."""
    text = '\n'.join(texts)
    with atomic_write(output / 'table.md') as part:
        part.write_text(text)
    return text


def plot(gains: Mapping[str, list[Contrast]], path: Path) -> None:
    """A row a data set, a column a metric; gains over the plain backbone."""
    import matplotlib

    matplotlib.use('agg')
    from matplotlib import pyplot

    longest = max(map(len, gains.values())) / len(METRICS)
    figure, panels = pyplot.subplots(
        len(gains),
        len(METRICS),
        figsize=(10, (1.2 + 0.25 * longest) * len(gains)),
        squeeze=False,
        layout='constrained',
    )
    for (dataset, metric), panel in zip(
        product(gains, METRICS), panels.flat, strict=True
    ):
        mine = [c for c in gains[dataset] if c.metric == metric]
        show_gains(panel, mine)
        panel.set_title(dataset)
        panel.set_xlabel(f'{metric}, % over the backbone alone')
    with atomic_write(path) as part:
        figure.savefig(part, dpi=150)
    pyplot.close(figure)


def show_gains(panel: Any, found: list[Contrast]) -> None:
    for place, c in enumerate(found):
        color = 'tab:orange' if c.method == OURS else 'tab:blue'
        panel.plot(100 * c.gain, place, 'o', color=color)
        if math.isfinite(c.low) and math.isfinite(c.high):
            ends = 100 * c.low, 100 * c.high
            panel.plot(ends, [place, place], color=color)
    names = [f'{c.backbone} + {c.method}' for c in found]
    panel.set_yticks(range(len(found)), names)
    panel.invert_yaxis()
    panel.axvline(0, color='gray', linewidth=0.8)
    panel.grid(axis='x', alpha=0.3)
