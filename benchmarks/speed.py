"""This library beside those that people would take instead, on one split.

    benchmarks/peers/setup.sh .venv-peers
    python benchmarks/speed.py --root data/yelp --output runs/speed.json

Every contender has a process of its own and is warm before it is timed; those
that are compared with one another take turns, round by round. Timed are a
training step, an epoch with its sampling, a propagation and the evaluation of
all test users, and the peak memory of each over that of the imports. With
``--convergence``, also the training time to 99 % of the best validation
NDCG@20, which is computed in the same way for all and not part of the time.
Without ``--root``, on random pairs of the size that ``--random`` gives.

All measurements go to ``--output``, the tables next to it in Markdown. A call
that is repeated with the same ``--output`` measures what is missing. Beside
other jobs on the same cores, set ``OMP_WAIT_POLICY=passive``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from convergence import EVERY, converge
from protocol import HERE, Child, Failed, environment
from speed_report import report
from split import Split
from timing import machine
from tqdm import tqdm

from pyg_darec.io import atomic_write

# The script of each library in peers/, and whether it is in an environment of
# its own.
SCRIPTS = {
    'ours': ('ours', False),
    'plain': ('plain', False),
    'PyG': ('pyg_example', False),
    'RecBole': ('recbole_models', True),
    'implicit': ('implicit_models', True),
}
# Those that take turns.
FAMILIES = {
    'LightGCN': (
        'ours LightGCN',
        'PyG LightGCN',
        'RecBole LightGCN',
        'implicit BPR',
        'implicit ALS',
    ),
    'NGCF': ('ours NGCF', 'RecBole NGCF'),
    'NCL': ('ours NCL', 'RecBole NCL'),
    'alignment': (
        'ours LightGCN dropout',
        'plain LightGCN',
        'ours DaRecAlign',
        'ours DaRecAlign paper',
        'ours DaRecAlign paper bf16',
        'plain DaRec',
        'ours RLMRecConAlign',
        'ours RLMRecConAlign bf16',
        'plain RLMRec-Con',
        'ours RLMRecGenAlign',
        'plain RLMRec-Gen',
    ),
}
# How often a round repeats what is short, after how many untimed calls.
REPEATS = {'step': (3, 1), 'propagate': (5, 2)}
# What has been timed for so many seconds in all is left out of further rounds.
ENOUGH = 60.0
Result = dict[str, Any]


class Benchmark:
    def __init__(self, args: argparse.Namespace, result: Result) -> None:
        self.args, self.result = args, result
        self.work = args.output.with_suffix('')
        self.split_path = self.work / 'split.npz'
        self.settings = {
            **result['settings'],
            'work': str(self.work.resolve()),
        }

    def start(self, labels: list[str]) -> dict[str, Child]:
        """The processes of contenders, which get ready side by side; what
        keeps one from running is said and kept with the results.
        """
        started, ready = {}, {}
        for label in labels:
            library, _, name = label.partition(' ')
            is_half = label.endswith('bf16')
            if is_half and is_emulated(self.result['rates']):
                self.fail(label, 'this processor has no products in bfloat16')
                continue
            script, has_environment = SCRIPTS[library]
            python = Path(sys.executable)
            if has_environment:
                python = self.args.peers / 'bin' / 'python'
                if not python.exists():
                    self.fail(
                        label, f"needs 'peers/setup.sh {self.args.peers}'"
                    )
                    continue
            log = self.work / 'logs' / f'{label}.log'
            started[label] = Child(
                python, script, name, self.split_path, self.settings, log
            )
        for label, child in started.items():
            try:
                child.greet()
            except Failed as error:
                self.fail(label, str(error))
                continue
            ready[label] = child
            self.result['failed'].pop(label, None)
            self.result['versions'][label] = child.versions
        return ready

    def fail(self, label: str, why: str) -> None:
        print(f'{label} is left out: {why}', flush=True)
        self.result['failed'][label] = why

    def save(self) -> None:
        with atomic_write(self.args.output) as part:
            part.write_text(json.dumps(self.result, indent=1))

    def measure(self, labels: list[str]) -> None:
        for label in labels:  # of an earlier call
            self.result['contenders'].pop(label, None)
        children = self.start(labels)
        figures: Result = {label: {} for label in children}
        # The first round warms up and is not kept.
        for turn in tqdm(range(self.args.rounds + 1), 'Rounds', leave=False):
            for label, child in list(children.items()):
                try:
                    self.take_turn(child, figures[label], turn)
                except Failed as error:
                    self.fail(label, str(error))
                    children.pop(label).close()
                    del figures[label]
        turns = self.result['turns']
        number = max(turns.values(), default=0) + 1
        for label, child in children.items():
            child.close()
            self.result['contenders'][label] = figures[label]
            turns[label] = number

    def take_turn(self, child: Child, figures: Result, turn: int) -> None:
        for do in child.operations:
            # Slow, and there to be compared with 'evaluate' once.
            if do == 'evaluate_default' and turn != 1:
                continue
            known = figures.setdefault(do, {'seconds': [], 'peak_mib': 0.0})
            if sum(known['seconds']) > ENOUGH:
                continue
            repeats, settle = REPEATS.get(do, (1, 0)) if turn else (1, 0)
            reply = child.ask(do, repeats=repeats, settle=settle)
            known['peak_mib'] = max(known['peak_mib'], reply['peak_mib'])
            if turn:
                known['seconds'] += reply['seconds']


def is_emulated(rates: dict[str, float]) -> bool:
    """Whether steps in bfloat16 would take minutes."""
    return 10 * rates['bfloat16_flops'] < rates['float32_flops']


def chosen(labels: tuple[str, ...], only: list[str] | None) -> list[str]:
    return [x for x in labels if only is None or any(o in x for o in only)]


def describe_machine() -> dict[str, Any]:
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return {
        'processor': machine(),
        'cores': os.cpu_count(),
        'memory_gib': round(memory / 2**30, 1),
        'system': platform.platform(),
        'python': platform.python_version(),
        'load': os.getloadavg(),
    }


def measure_rates(threads: int) -> dict[str, float]:
    out = subprocess.run(
        [sys.executable, HERE / 'roofline.py'],
        env=environment(threads),
        check=True,
        capture_output=True,
        text=True,
    )
    rates: dict[str, float] = json.loads(out.stdout)
    return rates


def unique_counts(split: Split, batch: int, draws: int = 20) -> list[int]:
    """How many users, positive items, negative items and items a batch has, on
    average.
    """
    rng = np.random.default_rng(0)
    num_pairs = split.train.shape[1]
    size = min(batch, num_pairs)
    sums = np.zeros(4)
    for _ in range(draws):
        pairs = split.train[:, rng.choice(num_pairs, size, replace=False)]
        negatives = rng.integers(split.num_items, size=size)
        items = np.concatenate([pairs[1], negatives])
        sums += [len(np.unique(x)) for x in (*pairs, negatives, items)]
    return [round(x) for x in sums / draws]


def open_result(args: argparse.Namespace, split: Split) -> Result:
    settings = {
        'data': args.root or ['random', *args.random],
        'dim': args.dim,
        'layers': args.layers,
        'batch': args.batch,
        'lr': args.lr,
        'llm_dim': args.llm_dim,
        'clusters': min(1000, split.num_users // 4, split.num_items // 4),
        'seed': args.seed,
        'threads': args.threads,
        'rounds': args.rounds,
        'max_epochs': args.max_epochs,
        'patience': args.patience,
    }
    if args.output.exists():
        result: Result = json.loads(args.output.read_text())
        if result['settings'] != settings:
            raise SystemExit(
                f"'{args.output}' has other settings; choose another "
                f"'--output' (got {settings})"
            )
        other = result['machine']['processor']
        if other != machine():
            raise SystemExit(
                f"'{args.output}' is from another machine; choose another "
                f"'--output' (got '{other}' and '{machine()}')"
            )
        return result
    return {
        'settings': settings,
        'split': {
            'num_users': split.num_users,
            'num_items': split.num_items,
            'train': split.train.shape[1],
            'test_users': len(np.unique(split.test[0])),
            'unique': unique_counts(split, args.batch),
        },
        'machine': describe_machine(),
        'rates': measure_rates(args.threads),
        'versions': {},
        'contenders': {},
        'turns': {},
        'failed': {},
        'convergence': {},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--root', help='holds raw/trn_mat.pkl of Yelp')
    parser.add_argument(
        '--random',
        type=int,
        nargs=3,
        default=(11_091, 11_010, 277_535),
        metavar=('USERS', 'ITEMS', 'PAIRS'),
    )
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--peers', type=Path, default=Path('.venv-peers'))
    parser.add_argument('--only', nargs='+', help="such as 'LightGCN'")
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--dim', type=int, default=32)
    parser.add_argument('--layers', type=int, default=3)
    parser.add_argument('--batch', type=int, default=4096)
    parser.add_argument('--lr', type=float, default=1e-3)
    parser.add_argument('--llm-dim', type=int, default=1536)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--convergence', action='store_true')
    parser.add_argument('--max-epochs', type=int, default=1000)
    parser.add_argument('--patience', type=int, default=10, help='evaluations')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"'--rounds' needs to be positive (got {args.rounds})")
    if args.max_epochs < EVERY:
        parser.error(
            f"'--max-epochs' needs to be at least {EVERY}, when the first "
            f'evaluation is (got {args.max_epochs})'
        )
    return args


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    split = Split.yelp(args.root) if args.root else Split.random(*args.random)
    benchmark = Benchmark(args, open_result(args, split))
    split.save(benchmark.split_path)
    result = benchmark.result
    for family, labels in FAMILIES.items():
        todo = chosen(labels, args.only)
        if any(label not in result['contenders'] for label in todo):
            print(f'{family}: {", ".join(todo)}', flush=True)
            benchmark.measure(todo)
            benchmark.save()
    if args.convergence:
        for labels in list(FAMILIES.values())[:3]:
            for label in chosen(labels, args.only):
                if label not in result['convergence']:
                    converge(benchmark, label, split)
                    benchmark.save()
    text = report(result)
    with atomic_write(args.output.with_suffix('.md')) as part:
        part.write_text(text)
    print(f'\n{text}')


if __name__ == '__main__':
    main()
