"""How time and memory grow with the size of the problem.

    python benchmarks/scaling.py --output runs/scaling

Synthetic graphs, one axis at a time around one middle point: edges from 10^5
to 3 x 10^7, nodes from 10^4 to 10^7, the width of embeddings, that of profiles,
and the batch. Each point is measured in a process of its own. What would need
more memory than ``--max-gib`` or takes longer than ``--timeout`` is left out
and listed. Points are kept in the output folder: a call that is repeated
measures what is missing. Fitted exponents are least squares in log-log, over
all points of an axis and over its upper half; the batch of an epoch's time is
all edges. ``--quick`` is a check of the script on small sizes.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from protocol import HERE, environment
from scaling_plot import plot, series
from scaling_point import needed_mib
from timing import machine
from tqdm import tqdm

from pyg_darec.io import atomic_write

Point = dict[str, Any]
MIDDLE: Point = {
    'edges': 1_000_000,
    'nodes': 100_000,
    'dim': 32,
    'llm_dim': 384,
    'batch': 4096,
}
AXES: dict[str, list[int]] = {
    'edges': [100_000, 300_000, 10**6, 3 * 10**6, 10**7, 3 * 10**7],
    'nodes': [10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7],
    'dim': [32, 64, 128, 256],
    'llm_dim': [384, 768, 1536, 3072, 4096],
    'batch': [1024, 4096, 16_384, 65_536],
}
QUICK_MIDDLE: Point = {
    'edges': 4000,
    'nodes': 1000,
    'dim': 8,
    'llm_dim': 16,
    'batch': 256,
}
QUICK_AXES: dict[str, list[int]] = {
    'edges': [2000, 4000, 8000],
    'nodes': [500, 1000, 2000],
    'dim': [8, 16],
    'llm_dim': [16, 32],
    'batch': [256, 512],
}
MODELS = ('LightGCN', 'DaRecAlign', 'DaRecAlign paper', 'RLMRecConAlign')
# Seconds of each, and what it is.
TIMES = {
    'build': 'building the graph',
    'sample': 'sampling an epoch',
    'propagate': 'a propagation',
    'first': 'the first step',
    'step': 'a training step',
    'evaluate': 'evaluation of 1,000 users',
}


def points_of(
    axes: dict[str, list[int]], middle: Point, models: list[str]
) -> list[tuple[str, Point]]:
    return [
        (axis, {**middle, axis: value, 'model': model})
        for axis, values in axes.items()
        for model in models
        # LightGCN knows nothing of profiles.
        if axis != 'llm_dim' or model != 'LightGCN'
        for value in values
    ]


def key_of(point: Point) -> str:
    names = ('edges', 'nodes', 'dim', 'llm_dim', 'batch', 'threads')
    return '-'.join([point['model'], *(str(point[name]) for name in names)])


def measure(point: Point, timeout: float, max_gib: float) -> Point:
    """The figures of a point, or ``{'missing': why}``."""
    needed = sum(needed_mib(point).values()) / 1024
    if needed > max_gib:
        return {'missing': f'needs {needed:.1f} GiB or more'}
    try:
        out = subprocess.run(
            [sys.executable, HERE / 'scaling_point.py', json.dumps(point)],
            env=environment(point['threads']),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return {'missing': f'took longer than {timeout:.0f} s'}
    if out.returncode != 0:
        said = (out.stderr.strip().splitlines() or ['nothing said'])[-1]
        return {'missing': f'ended with {out.returncode}: {said}'}
    figures: Point = json.loads(out.stdout)
    return figures


def exponent(sizes: list[float], values: list[float]) -> float | None:
    """The slope in log-log."""
    if len(sizes) < 2:
        return None
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(slope)


def exponents(sizes: list[float], values: list[float]) -> list[float | None]:
    """Over all points, and over the upper half of them."""
    half = max(len(sizes) // 2, 2)
    return [exponent(sizes, values), exponent(sizes[-half:], values[-half:])]


def exponents_table(results: list[Point], models: list[str]) -> list[str]:
    lines = [
        '| axis | model | what | exponent | in the upper half | from | to |',
        '|---|---|---|---|---|---|---|',
    ]
    axes = list(dict.fromkeys(row['axis'] for row in results))
    for axis in axes:
        for model in models:
            for what, name in TIMES.items():
                sizes, values = series(results, axis, model, what)
                slopes = exponents(sizes, values)
                if slopes[0] is None or slopes[1] is None:
                    continue
                lines.append(
                    f'| {axis} | {model} | {name} | {slopes[0]:.2f} | '
                    f'{slopes[1]:.2f} | {seconds(values[0])} | '
                    f'{seconds(values[-1])} |'
                )
    return lines


def seconds(value: float) -> str:
    return f'{value:.2f} s' if value >= 1 else f'{1e3 * value:.1f} ms'


def memory_table(results: list[Point]) -> list[str]:
    parts = list(needed_mib({**MIDDLE, 'model': 'LightGCN'}))
    lines = [
        f'| axis | model | size | {", ".join(parts)}, MiB | '
        'peak of a step, MiB | peak / needed |',
        '|---|---|---|---|---|---|',
    ]
    for row in results:
        point, figures = row['point'], row['figures']
        if 'missing' in figures:
            continue
        needed = needed_mib(point)
        total = sum(needed.values())
        lines.append(
            f'| {row["axis"]} | {point["model"]} | {point[row["axis"]]:,} | '
            f'{" + ".join(f"{x:.0f}" for x in needed.values())} = '
            f'{total:.0f} | {figures["peak_mib"]:.0f} | '
            f'{figures["peak_mib"] / total:.2f} |'
        )
    return lines


def missing_lines(results: list[Point]) -> list[str]:
    return [
        f'- {row["point"]["model"]}, {row["axis"]} '
        f'{row["point"][row["axis"]]:,}: {row["figures"]["missing"]}'
        for row in results
        if 'missing' in row['figures']
    ]


def arguments() -> argparse.Namespace:
    available = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--output', type=Path, required=True, help='a folder')
    parser.add_argument('--models', nargs='+', default=list(MODELS))
    parser.add_argument('--axes', nargs='+', default=list(AXES), choices=AXES)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--timeout', type=float, default=900, help='seconds')
    parser.add_argument(
        '--max-gib', type=float, default=0.7 * available / 2**30
    )
    parser.add_argument('--quick', action='store_true')
    return parser.parse_args()


def main() -> None:
    args = arguments()
    axes = QUICK_AXES if args.quick else AXES
    middle = QUICK_MIDDLE if args.quick else MIDDLE
    todo = points_of({k: axes[k] for k in args.axes}, middle, args.models)
    results: list[Point] = []
    bar = tqdm(todo, 'Points')
    for axis, point in bar:
        point['threads'] = args.threads
        bar.set_postfix_str(f'{point["model"]}, {axis} {point[axis]:,}')
        path = args.output / 'points' / f'{key_of(point)}.json'
        if path.exists():
            figures = json.loads(path.read_text())
            made_on = figures.pop('machine', None)
            if made_on != machine():
                raise SystemExit(
                    f"'{path}' is from another machine; choose another "
                    f"'--output' (got '{made_on}' and '{machine()}')"
                )
        else:
            figures = measure(point, args.timeout, args.max_gib)
            # What is missing here may be had with other limits.
            if 'missing' not in figures:
                kept = {**figures, 'machine': machine()}
                with atomic_write(path) as part:
                    part.write_text(json.dumps(kept, indent=1))
        results.append({'axis': axis, 'point': point, 'figures': figures})

    lines = [f'{machine()}; {args.threads} threads for every point.', '']
    lines += [f'Middle of all axes: {middle}.', '']
    lines += [*exponents_table(results, args.models), '']
    lines += [*memory_table(results), '']
    lines += missing_lines(results)
    text = '\n'.join(lines).rstrip() + '\n'
    report = {'machine': machine(), 'middle': middle, 'results': results}
    for name, content in (
        ('scaling.json', json.dumps(report, indent=1)),
        ('scaling.md', text),
    ):
        with atomic_write(args.output / name) as part:
            part.write_text(content)
    plot(results, args.models, args.output / 'scaling.png')
    print(f'\n{text}')


if __name__ == '__main__':
    main()
