"""What the alignment methods do for LightGCN on the bundled data.

    python benchmarks/alignment.py --output runs/alignment.json

Every method has its default options, the same backbone (d = 32) and protocol:
Adam 5e-3, batches of 4096, evaluation every 3 epochs, patience 5 on validation
Recall@20, one test of the best weights; several seeds. Nothing is tuned. A run
that is called again with the same ``--output`` does only what is missing.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.datasets import OnlineRetail
from pyg_darec.nn.align import RLMRecConAlign, RLMRecGenAlign
from pyg_darec.nn.models import LightGCN

METHODS: dict[str, Callable[[nn.Module, int], nn.Module]] = {
    'LightGCN': lambda model, dim: model,
    '+ RLMRec-Con': lambda model, dim: RLMRecConAlign(model, dim),
    '+ RLMRec-Gen': lambda model, dim: RLMRecGenAlign(model, dim),
    '+ DaRec': lambda model, dim: DaRecAlign(model, dim),
    '+ DaRec w/o uni': lambda model, dim: DaRecAlign(model, dim, uni_weight=0),
}
COLUMNS = ('Recall@20', 'NDCG@20', 'best epoch', 'seconds')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--root', default='data/online-retail')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=300)
    parser.add_argument('--device', default='auto')
    parser.add_argument('--output', type=Path, required=True)
    args = parser.parse_args()

    data = OnlineRetail(args.root)[0]
    runs = json.loads(args.output.read_text()) if args.output.exists() else {}
    for seed in args.seeds:
        for method, wrap in METHODS.items():
            key = f'{method} {seed}'
            if key in runs:
                continue
            print(key, flush=True)
            torch.manual_seed(seed)
            model = wrap(LightGCN.from_data(data, 32), 384)
            start = time.perf_counter()
            result = fit(
                model,
                data,
                epochs=args.epochs,
                lr=5e-3,
                seed=seed,
                device=args.device,
            )
            runs[key] = {
                'method': method,
                'seed': seed,
                'best epoch': result.best_epoch,
                'seconds': time.perf_counter() - start,
                **evaluate(model, data, 'test', ks=(20,)),
            }
            args.output.parent.mkdir(parents=True, exist_ok=True)
            args.output.write_text(json.dumps(runs, indent=1))

    print(f'\n| {"online-retail":15} | {" | ".join(COLUMNS)} | seeds |')
    print('| --- |' + ' ---: |' * 5)
    for method in METHODS:
        mine = [run for run in runs.values() if run['method'] == method]
        cells = []
        for column in COLUMNS:
            values = [run[column] for run in mine]
            digits = 4 if '@' in column else 0
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(
                f'{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}'
            )
        print(f'| {method:15} | {" | ".join(cells)} | {len(mine)} |')


if __name__ == '__main__':
    main()
