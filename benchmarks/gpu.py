"""Training steps on a GPU: at the size of Yelp's split, and at 10^8 pairs.

    python benchmarks/gpu.py --output runs/gpu.json

First, the sparse product of a propagation beside cuSPARSE's. Then whole steps:
the graphs are synthetic. All of the graph is propagated in every step, forward
and backward; the loss is that of a batch of pairs. A propagation's share of the
measured copy bandwidth is given for the bytes it moves if a cache held all
embeddings, and if it held none. Memory is what PyTorch allocated at most in a
step, the graph and an epoch's triples included. Steps are measured in a process
of their own for every row; ``--device cpu`` is there to check the script.
"""

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from roofline import propagation_bytes, rates
from scaling import measure
from scaling_point import LAYERS, build_graph, random_pairs, sizes
from timing import machine, median_seconds
from torch import Tensor

from pyg_darec.io import atomic_write
from pyg_darec.row_gather import gather_rows

Point = dict[str, Any]
SIZES: dict[str, Point] = {
    'yelp': {
        'edges': 166_620,
        'nodes': 22_101,
        'dim': 32,
        'llm_dim': 1536,
        'batch': 4096,
    },
    'large': {
        'edges': 10**8,
        'nodes': 500_000,
        'dim': 64,
        'llm_dim': 384,
        'batch': 65_536,
    },
}
MODELS = {
    'yelp': ['LightGCN', 'DaRecAlign', 'DaRecAlign paper', 'RLMRecConAlign'],
    'large': ['LightGCN', 'DaRecAlign'],
}
DIMS = 32, 64, 128


def products(point: Point) -> list[str]:
    """Rows of the table of sparse products."""
    graph = build_graph(point, random_pairs(point))
    # Both products of a propagation.
    matrices = graph._matrices(torch.float32)
    return [compare(point, matrices[:3], matrices[3:], dim) for dim in DIMS]


def compare(point: Point, to_user: Any, to_item: Any, dim: int) -> str:
    device = point['device']
    num_users, num_items = sizes(point)
    user, item = (
        torch.randn(size, dim, device=device) for size in (num_users, num_items)
    )
    shape = num_users, num_items
    by_user = torch.sparse_csr_tensor(*to_user, shape)
    by_item = torch.sparse_csr_tensor(*to_item, shape[::-1])

    def ours() -> list[Tensor]:
        # Where a graph is small, the product of 'propagate' is PyTorch's.
        return [gather_rows(to_user, item), gather_rows(to_item, user)]

    def theirs() -> list[Tensor]:
        return [by_user @ item, by_item @ user]

    gap = max(
        float((a - b).abs().max())
        for a, b in zip(ours(), theirs(), strict=True)
    )
    seconds = [median_seconds(f, 15, device) for f in (ours, theirs)]
    return (
        f'| {point["edges"]:,} | {dim} | {1e3 * seconds[0]:.3f} | '
        f'{1e3 * seconds[1]:.3f} | {seconds[1] / seconds[0]:.1f} | {gap:.0e} |'
    )


def row(name: str, point: Point, figures: Point, copy: float) -> str:
    moved = propagation_bytes(
        *sizes(point), point['edges'], point['dim'], LAYERS
    )
    shares = [x / figures['propagate'] / copy for x in moved.values()]
    times = ' | '.join(
        f'{1e3 * figures[k]:.2f}' for k in ('step', 'propagate', 'evaluate')
    )
    return (
        f'| {name}, {point["edges"]:,} edges | {point["model"]} | {times} | '
        f'{shares[0]:.0%} / {shares[1]:.0%} | {figures["sample"]:.3f} | '
        f'{figures["first"]:.1f} | {figures["peak_mib"] / 1024:.2f} |'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument(
        '--sizes', nargs='+', default=list(SIZES), choices=SIZES
    )
    parser.add_argument('--edges', type=int, help='instead of those of a size')
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--timeout', type=float, default=600, help='seconds')
    args = parser.parse_args()
    known = rates(args.device)
    lines = [
        f'{machine()}; copies {known["copy_bytes_per_second"] / 1e9:.0f} GB/s, '
        f'multiplies {known["float32_flops"] / 1e12:.1f} TFLOP/s in float32 '
        f'and {known["bfloat16_flops"] / 1e12:.0f} in bfloat16',
        '',
        '| edges | d | both products of a propagation, ms | cuSPARSE, ms | '
        'ratio | largest difference |',
        '|---|---|---|---|---|---|',
    ]
    print(lines[0], flush=True)
    points = [
        {**SIZES[name], 'device': args.device}
        | ({} if args.edges is None else {'edges': args.edges})
        for name in args.sizes
    ]
    for point in points:
        if args.device == 'cuda':  # the kernels are for nothing else
            lines += products(point)
            print(*lines[-len(DIMS) :], sep='\n', flush=True)
    lines += [
        '',
        '| size | model | step, ms | propagation, ms | evaluation of 1,000 '
        'users, ms | share of bandwidth, once / gathered | sampling an epoch, '
        's | first step, s | memory of a step, GiB |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    results, missing = [], []
    for name, size in zip(args.sizes, points, strict=True):
        for model in MODELS[name]:
            point = {**size, 'model': model, 'threads': os.cpu_count() or 1}
            figures = measure(point, args.timeout, math.inf)
            if 'missing' in figures:
                missing.append(f'- {name}, {model}: {figures["missing"]}')
                continue
            results.append({'point': point, 'figures': figures})
            lines.append(
                row(name, point, figures, known['copy_bytes_per_second'])
            )
            print(lines[-1], flush=True)
    report = {'machine': machine(), 'rates': known, 'results': results}
    text = '\n'.join([*lines, '', *missing]).rstrip() + '\n'
    with atomic_write(args.output) as part:
        part.write_text(json.dumps(report, indent=1))
    with atomic_write(args.output.with_suffix('.md')) as part:
        part.write_text(text)
    print(f'\n{text}')


if __name__ == '__main__':
    main()
