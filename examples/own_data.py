"""From two CSV files to recommendations by name.

    python examples/own_data.py
    python examples/own_data.py --encoder sentence-transformers/all-MiniLM-L6-v2
    python examples/own_data.py --orders orders.csv --products products.csv

An orders file has the columns customer, product and date; a products file has
product and title. Without any, both are written from the bundled data of an
online shop, so that nothing is downloaded. Without --encoder, texts are
embedded by TF-IDF and a singular value decomposition, which knows words and
not what they mean.
"""

import argparse
import csv
from pathlib import Path

import torch

from pyg_darec import evaluate, fit, recommend
from pyg_darec.datasets import OnlineRetail, attach_texts, from_table
from pyg_darec.nn.align import DaRecAlign
from pyg_darec.nn.models import LightGCN
from pyg_darec.profiles import TfidfEncoder, complete_profiles
from pyg_darec.retrieval import find_nodes
from pyg_darec.transforms import (
    AttachProfileEmbeddings,
    KCore,
    SplitInteractions,
)


def write_tables(orders: Path, products: Path, root: Path) -> None:
    """The first 400 customers of the bundled shop, as raw rows."""
    data = OnlineRetail(root)[0]
    store = data['user', 'rates', 'item']
    parts = [('edge_index', 'time')]
    parts += [(f'{p}_edge_label_index', f'{p}_time') for p in ('val', 'test')]
    rows = []
    for pairs, times in parts:
        user, item = store[pairs].tolist()
        rows += zip(user, item, store[times].tolist(), strict=True)
    with orders.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['customer', 'product', 'date'])
        for user, item, time in sorted(rows):
            if user < 400:
                ids = data['user'].id[user], data['item'].id[item]
                writer.writerow([*ids, time])
    with products.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['product', 'title'])
        item = data['item']
        writer.writerows(zip(item.id, item.profile, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--orders', type=Path, help='CSV with one order a row')
    add('--products', type=Path, help='CSV with one product a row')
    add('--encoder', help='a sentence-transformers model, by name or folder')
    add('--epochs', type=int, default=15, help='at most (default: 15)')
    add('--customers', nargs='*', default=[], help='whom to recommend to')
    folder = Path('runs/own-data')
    add('--output', type=Path, default=folder, help=f'(default: {folder})')
    args = parser.parse_args()
    if (args.orders is None) != (args.products is None):
        parser.error('--orders and --products go together')
    args.output.mkdir(parents=True, exist_ok=True)
    orders, products = args.orders, args.products
    if orders is None:
        orders = args.output / 'orders.csv'
        products = args.output / 'products.csv'
        write_tables(orders, products, args.output / 'online-retail')
        print(f'Wrote {orders} and {products}')

    # Filter first, split once: nothing below sees what is held out.
    data = from_table(orders, user='customer', item='product', time='date')
    data = KCore(5)(data)
    # Now, and not after the training: it may have no such customer.
    users = find_nodes(data, args.customers or data['user'].id[:3])
    data = SplitInteractions('random', seed=0)(data)
    attach_texts(data, products, id='product', name='title')
    complete_profiles(data)  # users: the names of their training items
    print(data['user'].profile[0])

    encoder, key = args.encoder, None
    if encoder is None:
        print('No --encoder: TF-IDF of the texts, without a language model')
        encoder = TfidfEncoder(data['item'].profile)
        key = encoder.identity
    attach = AttachProfileEmbeddings(
        encoder=encoder, cache_dir=args.output / 'cache', cache_key=key
    )
    data = attach(data)

    torch.manual_seed(0)
    llm_dim = data['item'].llm_x.size(1)
    model = DaRecAlign(LightGCN.from_data(data, 64), llm_dim)
    fit(model, data, epochs=args.epochs, batch_size=2048, lr=0.01)
    print(evaluate(model, data, ks=(20,)))

    best = recommend(model, data, users, k=5, exclude_held_out=True)
    table = best.to_frame(data, users)
    for customer, rows in table.groupby('user', sort=False):
        print(f'customer {customer}')
        for row in rows.itertuples():
            print(f'  {row.rank}. {row.name}')


if __name__ == '__main__':
    main()
