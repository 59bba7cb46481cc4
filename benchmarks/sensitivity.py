"""How much the options of DaRec matter, one at a time.

    python benchmarks/sensitivity.py --output runs/sensitivity

The literal form (``preset='paper'``) by the number of preference centres K,
the trade-off λ and the number of sampled nodes N̂, the default form by its
weights, the number of neighbours and the rank. All other options have their
defaults. The protocol, the data sets and the folders are those of
``accuracy.py``; the plain backbone is there to compare with. ``table.md`` and
``<data set>-<backbone>.png`` show the runs that are finished.
"""

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from accuracy_report import row, save_tables, spread
from accuracy_runs import (
    OURS,
    PAPER,
    PLAIN,
    Run,
    add_arguments,
    check_settings,
    default_value,
    perform,
    read,
    settings,
)
from data_sets import load_graphs

from pyg_darec.io import atomic_write
from pyg_darec.nn.resolver import resolve

METRIC = 'Recall@20'
AXES: dict[str, dict[str, list[Any]]] = {
    PAPER: {
        'num_clusters': [2, 4, 6, 8, 12, 16],
        'weight': [0.01, 0.03, 0.1, 0.3, 1.0],
        'num_samples': [256, 1024, 4096, None],
    },
    OURS: {
        'profile_weight': [0.0, 0.03, 0.1, 0.3, 1.0, 3.0],
        'neighbor_weight': [0.0, 0.25, 0.5, 1.0, 2.0, 4.0],
        'num_neighbors': [3, 5, 10, 20, 50],
        'rank': [16, 32, 64, 128, 256],
    },
}
# What the points of a figure differ in.
_OWN = 'method', 'seed', 'options', 'patience', 'method_options', 'defaults'
SYMBOLS = {'num_clusters': 'K', 'weight': 'λ', 'num_samples': 'N̂'}

Values: TypeAlias = list[float]  # one for each seed


def points(axes: Sequence[str]) -> Iterator[tuple[str, str, Any, str]]:
    """Method, option, value and the folder of its runs, which all axes have
    in common where the value is the default.
    """
    for method, options in AXES.items():
        for axis, values in options.items():
            if axis not in axes:
                continue
            default = default_value(method, axis)
            for value in values:
                name = 'default' if value == default else f'{axis}={value}'
                yield method, axis, value, name


def finished(folder: Path) -> tuple[Values, Values]:
    """The test and the validation results of the seeds in a folder."""
    paths = sorted(folder.glob('seed-*/result.json'))
    found = [read(path.parent).info for path in paths]
    # Those of all points of a figure have all else in common.
    others = folder.parent.parent.glob('*/*/seed-*/result.json')
    first = read(min(others).parent).info['run'] if paths else {}
    for path, result in zip(paths, found, strict=True):
        run = result['run']
        own = {key: run.get(key) for key in _OWN}
        check_settings(path.parent, run, {**first, **own})
    return [r[METRIC] for r in found], [r['validation'] for r in found]


def table(name: str, folder: Path, axes: Sequence[str]) -> str:
    lines = [
        row(name, 'option', 'value', 'seeds', METRIC, 'of validation'),
        row(*['---'] * 4, *['---:'] * 2),
    ]

    def add(method: str, axis: str, value: Any, where: Path) -> None:
        test, val = finished(where)
        if test:
            cells = str(len(test)), spread(test), spread(val)
            lines.append(row(method, axis, str(value), *cells))

    add(PLAIN, '', '', folder / PLAIN / 'default')
    for method, axis, value, point in points(axes):
        label = 'all' if value is None else value
        add(method, axis, label, folder / method / point)
    return '\n'.join(lines) + '\n'


def plot(name: str, folder: Path, axes: Sequence[str], path: Path) -> None:
    """A row a form, a panel an axis: means of the seeds and their standard
    deviation.
    """
    import matplotlib

    matplotlib.use('agg')
    from matplotlib import pyplot

    forms: dict[str, dict[str, dict[str, Values]]] = {}
    for method, axis, value, point in points(axes):
        test, _ = finished(folder / method / point)
        if test:
            label = 'all' if value is None else str(value)
            curves = forms.setdefault(method, {})
            curves.setdefault(axis, {})[label] = test
    if not forms:
        return
    plain, _ = finished(folder / PLAIN / 'default')
    width = max(len(curves) for curves in forms.values())
    figure, rows = pyplot.subplots(
        len(forms),
        width,
        figsize=(2.6 * width + 0.6, 3 * len(forms)),
        squeeze=False,
        sharey='row',
        layout='constrained',
    )
    figure.suptitle(name)
    for (method, curves), panels in zip(forms.items(), rows, strict=True):
        for panel in panels[len(curves) :]:
            panel.set_axis_off()
        for (axis, curve), panel in zip(curves.items(), panels, strict=False):
            draw(panel, curve)
            if plain:
                panel.axhline(statistics.fmean(plain), color='gray', ls='--')
            panel.set_title(method)
            panel.set_xlabel(SYMBOLS.get(axis, axis))
        panels[0].set_ylabel(METRIC)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=150)
    pyplot.close(figure)


def draw(panel: Any, curve: Mapping[str, Values]) -> None:
    mean = [statistics.fmean(values) for values in curve.values()]
    error = [
        statistics.stdev(values) if len(values) > 1 else 0.0
        for values in curve.values()
    ]
    panel.errorbar(list(curve), mean, error, marker='o', capsize=2)
    panel.grid(alpha=0.3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_arguments(parser)
    every = [axis for options in AXES.values() for axis in options]
    parser.add_argument('--backbones', nargs='+', default=['LightGCN'])
    parser.add_argument('--axes', nargs='+', choices=every, default=every)
    args = parser.parse_args(argv)
    backbones = [resolve(name).__name__ for name in args.backbones]

    texts = []
    for dataset, graph in load_graphs(parser, args).items():
        for backbone in backbones:
            name, folder = f'{dataset}, {backbone}', Path(dataset, backbone)
            todo = [(PLAIN, 'default', {})]
            for method, axis, value, point in points(args.axes):
                options = {} if point == 'default' else {axis: value}
                todo.append((method, point, options))
            for seed, (method, point, options) in product(args.seeds, todo):
                run = Run(dataset, backbone, method, **settings(args))
                perform(
                    replace(run, seed=seed, options=options),
                    graph,
                    args.output / folder / method / point / f'seed-{seed}',
                    args.device,
                )
            texts.append(table(name, args.output / folder, every))
            figure = args.output / f'{dataset}-{backbone}.png'
            plot(name, args.output / folder, every, figure)
    print(f'\n{save_tables(args.output, texts)}')


if __name__ == '__main__':
    main()
