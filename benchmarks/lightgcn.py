"""LightGCN on a data set of the RLMRec paper, with its protocol: Adam 1e-3,
batches of 4096, evaluation every 3 epochs, patience 5 on validation Recall@20,
one test of the best weights; five seeds.

    python benchmarks/lightgcn.py --dataset yelp --root data/yelp

Prints the mean and the standard deviation over seeds beside the printed
values of the paper (arXiv 2310.15950, Table 2).
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from pyg_darec import evaluate, fit
from pyg_darec.datasets import AmazonBook, Steam, Yelp
from pyg_darec.nn.models import LightGCN

DATASETS = {'amazon-book': AmazonBook, 'yelp': Yelp, 'steam': Steam}
NUM_LAYERS = {'amazon-book': 3, 'yelp': 3, 'steam': 2}
PRINTED = {
    'amazon-book': {'Recall@20': 0.1411, 'NDCG@20': 0.0856},
    'yelp': {'Recall@20': 0.1157, 'NDCG@20': 0.0733},
    'steam': {'Recall@20': 0.1348, 'NDCG@20': 0.0855},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dataset', choices=DATASETS, default='yelp')
    parser.add_argument('--root', required=True, help='holds raw/trn_mat.pkl')
    parser.add_argument('--seeds', type=int, nargs='+', default=range(5))
    parser.add_argument('--device', default='auto')
    parser.add_argument('--output', type=Path, help='JSON file to write')
    args = parser.parse_args()

    data = DATASETS[args.dataset](args.root)[0]
    runs = []
    for seed in args.seeds:
        torch.manual_seed(seed)
        model = LightGCN.from_data(
            data, 32, num_layers=NUM_LAYERS[args.dataset], reg_weight=1e-6
        )
        start = time.perf_counter()
        result = fit(
            model,
            data,
            epochs=3000,
            batch_size=4096,
            lr=1e-3,
            eval_every=3,
            patience=5,
            seed=seed,
            device=args.device,
        )
        seconds = time.perf_counter() - start
        metrics = evaluate(model, data, 'test', ks=(5, 10, 20))
        runs.append(
            {
                'seed': seed,
                'best_epoch': result.best_epoch,
                'seconds': seconds,
                **metrics,
            }
        )
        print(json.dumps(runs[-1]), flush=True)
        if args.output:
            args.output.write_text(json.dumps(runs, indent=1))

    print(f'\nLightGCN on {args.dataset}, {len(runs)} seeds')
    for name in (
        'Recall@5',
        'Recall@10',
        'Recall@20',
        'NDCG@5',
        'NDCG@10',
        'NDCG@20',
    ):
        values = [run[name] for run in runs]
        mean = statistics.fmean(values)
        spread = statistics.stdev(values) if len(values) > 1 else float('nan')
        line = f'{name:>10}  {mean:.4f} ± {spread:.4f}'
        printed = PRINTED[args.dataset].get(name)
        if printed:
            line += f'  printed {printed:.4f} ({mean / printed - 1:+.1%})'
        print(line)


if __name__ == '__main__':
    main()
