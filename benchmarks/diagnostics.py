"""What goes on inside DaRec while it is trained, in a table.

    python benchmarks/diagnostics.py --presets paper default

Of each preset around LightGCN with 32 dimensions on online_retail, every few
epochs: the gradient of each term that reaches the model, whether the parts
collapse, and whether clusters stay matched (pyg_darec.nn.align.Diagnostics).
"""

import argparse
from collections.abc import Sequence

import torch
from timing import machine

from pyg_darec import fit
from pyg_darec.datasets import OnlineRetail
from pyg_darec.nn.align import DaRecAlign, Diagnostics
from pyg_darec.nn.models import LightGCN


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    add('--root', default='data/online-retail')
    add('--presets', nargs='+', default=['paper', 'default'])
    add('--epochs', type=int, default=36)
    add('--every', type=int, default=6)
    add('--lr', type=float, default=5e-3)
    add('--seed', type=int, default=0)
    add('--threads', type=int)
    args = parser.parse_args(argv)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    data = OnlineRetail(args.root)[0]
    print(machine())
    for preset in args.presets:
        torch.manual_seed(args.seed)
        model = DaRecAlign(
            LightGCN.from_data(data, 32),
            data['item'].llm_x.size(1),
            preset=preset,
        )
        result = fit(
            model,
            data,
            args.epochs,
            lr=args.lr,
            eval_every=args.every,
            patience=None,
            seed=args.seed,
            device='cpu',
            watch=Diagnostics(model, data, seed=args.seed),
        )
        rows = [row for row in result.history if 'gradient/bpr' in row]
        names = [k for k in rows[-1] if '/' in k]
        print(
            f'\n| {preset} | '
            + ' | '.join(str(r['epoch']) for r in rows)
            + ' |'
        )
        print('| --- |' + ' ---: |' * len(rows))
        for name in [str(result.monitor), *names]:
            cells = [f'{r[name]:.3g}' if name in r else '' for r in rows]
            print(f'| {name} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
