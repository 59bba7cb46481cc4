"""LightGCN without and with LLM knowledge: plain, aligned by RLMRec-Con, and
aligned by DaRec, under one protocol.

    python examples/lightgcn_yelp.py --dataset yelp --root data/yelp

trains the three, tests each once at its best validation epoch, prints a table
and writes it, with the training curves, to the folder ``--output``. With
``--dataset online-retail`` it runs on data that comes with the package.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.datasets import AmazonBook, OnlineRetail, Steam, Yelp
from pyg_darec.nn.align import RLMRecConAlign
from pyg_darec.nn.models import LightGCN
from pyg_darec.visualize import plot_curves

DATASETS = {
    'yelp': Yelp,
    'amazon-book': AmazonBook,
    'steam': Steam,
}

# A method wraps a backbone; what it wraps is trained in the same way.
METHODS: dict[str, Callable[[nn.Module, int], nn.Module]] = {
    'LightGCN': lambda model, llm_dim: model,
    '+ RLMRec-Con': lambda model, llm_dim: RLMRecConAlign(model, llm_dim),
    '+ DaRec': lambda model, llm_dim: DaRecAlign(model, llm_dim),
}
KS = (5, 10, 20)


def load(name: str, root: Path) -> tuple[str, HeteroData]:
    """The data set, or the bundled one where it cannot be had."""
    if name in DATASETS:
        raw = root / 'raw'
        embeddings = [raw / f'{kind}_emb_np.pkl' for kind in ('usr', 'itm')]
        # Where the embeddings are, nothing else has to be downloaded.
        download = not all(path.exists() for path in embeddings)
        try:
            return name, DATASETS[name](str(root), profiles=download)[0]
        except OSError as error:
            has_pairs = (raw / 'trn_mat.pkl').exists()
            missing = 'profile embeddings are' if has_pairs else 'data is'
            print(
                f"{name}: the {missing} neither in '{raw}' nor to be "
                f'downloaded ({str(error).splitlines()[0]}); running the '
                "bundled 'online-retail' instead."
            )
            root = Path('data/online-retail')
    return 'online-retail', OnlineRetail(str(root))[0]


def make_table(name: str, rows: dict[str, dict[str, float]]) -> str:
    columns = [f'{metric}@{k}' for metric in ('Recall', 'NDCG') for k in KS]
    head = [f'{name}', *columns, 'best epoch', 'seconds']
    lines = [head, ['---', *['---:'] * (len(head) - 1)]]
    for method, row in rows.items():
        values = [f'{row[column]:.4f}' for column in columns]
        values += [f'{row["best_epoch"]:.0f}', f'{row["seconds"]:.0f}']
        lines.append([method, *values])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return '\n'.join(
        '| '
        + ' | '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + ' |'
        for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    names = [*DATASETS, 'online-retail']
    add('--dataset', choices=names, default='yelp', help='(default: yelp)')
    add('--root', type=Path, help='where it is kept (default: data/DATASET)')
    add('--epochs', type=int, default=3000, help='at most (default: 3000)')
    add('--batch-size', type=int, default=4096, help='(default: 4096)')
    add('--lr', type=float, default=1e-3, help='(default: 0.001)')
    add('--device', default='auto', help='such as cpu (default: a GPU if any)')
    add('--seed', type=int, default=0, help='(default: 0)')
    output = Path('runs/lightgcn')
    add('--output', type=Path, default=output, help=f'(default: {output})')
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    root = args.root or Path('data') / args.dataset
    name, data = load(args.dataset, root)
    llm_dim = data['item'].llm_x.size(1)
    print(
        f'{name}: {data["user"].num_nodes} users, '
        f'{data["item"].num_nodes} items, profiles of width {llm_dim}'
    )

    rows, histories = {}, {}
    for method, wrap in METHODS.items():
        print(method, flush=True)
        torch.manual_seed(args.seed)
        model = wrap(LightGCN.from_data(data, 32), llm_dim)
        start = time.perf_counter()
        result = fit(
            model,
            data,
            epochs=args.epochs,
            batch_size=args.batch_size,
            lr=args.lr,
            seed=args.seed,
            device=args.device,
        )
        rows[method] = {
            **evaluate(model, data, 'test', ks=KS),
            'best_epoch': result.best_epoch,
            'seconds': time.perf_counter() - start,
        }
        histories[method] = result.history
        # After each method, for whoever stops a long run.
        table = make_table(name, rows)
        (args.output / 'results.md').write_text(table + '\n')
        (args.output / 'results.json').write_text(json.dumps(rows, indent=1))
        plot_curves(histories, args.output / 'curves.png', title=name)
    print(
        f'\n{table}\n\nWritten to {args.output}: results.md, results.json, '
        'curves.png'
    )


if __name__ == '__main__':
    main()
