"""A GNN that knows nothing of this library, trained, aligned and evaluated.

    python examples/foreign_gnn.py --gnn GraphSAGE

takes one of PyG's models as it is, trains it plain and wrapped by
``RLMRecConAlign`` and by ``DaRecAlign`` on the bundled data, tests each once at
its best validation epoch and prints a table, which is also written to the
folder ``--output``. ``--gnn hetero`` makes a heterogeneous GraphSAGE that
starts from node features instead of learned embeddings.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch_geometric.nn as pyg
from torch import Tensor
from torch.nn import Embedding, Module
from torch_geometric.data import HeteroData

from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.datasets import OnlineRetail
from pyg_darec.nn.align import RLMRecConAlign
from pyg_darec.nn.models import as_recommender

DIM = 32
RATES = ('user', 'rates', 'item')
REVERSE = ('item', 'rev_rates', 'user')


class WithEmbeddings(Module):
    """Nodes without features get a table of embeddings to start from. All
    that a homogeneous model has to offer is ``get_embedding(edge_index)``, for
    users followed by items.
    """

    def __init__(self, gnn: Module, num_nodes: int, dim: int) -> None:
        super().__init__()
        self.embedding = Embedding(num_nodes, dim)
        torch.nn.init.xavier_uniform_(self.embedding.weight)
        self.gnn = gnn

    def get_embedding(self, edge_index: Tensor) -> Tensor:
        out: Tensor = self.gnn(self.embedding.weight, edge_index)
        return out


def make_model(name: str, data: HeteroData) -> Module:
    num_nodes = data['user'].num_nodes + data['item'].num_nodes
    if name == 'LightGCN':
        return pyg.LightGCN(num_nodes, DIM, num_layers=2)
    if name == 'hetero':
        sage = pyg.GraphSAGE((-1, -1), DIM, num_layers=2)
        return pyg.to_hetero(sage, (['user', 'item'], [RATES, REVERSE]))
    gnn = getattr(pyg, name)(DIM, DIM, num_layers=2)
    return WithEmbeddings(gnn, num_nodes, DIM)


METHODS: dict[str, Callable[[Module, int], Module]] = {
    'plain': lambda model, llm_dim: as_recommender(model),
    '+ RLMRec-Con': lambda model, llm_dim: RLMRecConAlign(model, llm_dim),
    '+ DaRec': lambda model, llm_dim: DaRecAlign(model, llm_dim),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    gnns = ['GraphSAGE', 'GCN', 'GAT', 'LightGCN', 'hetero']
    add('--gnn', choices=gnns, default='GraphSAGE', help='(default: GraphSAGE)')
    add('--root', default='data/online-retail', help='where data is kept')
    add('--epochs', type=int, default=300, help='at most (default: 300)')
    add('--batch-size', type=int, default=4096, help='(default: 4096)')
    add('--lr', type=float, default=5e-3, help='(default: 0.005)')
    add('--device', default='auto', help='such as cpu (default: a GPU if any)')
    add('--seed', type=int, default=0, help='(default: 0)')
    output = Path('runs/foreign')
    add('--output', type=Path, default=output, help=f'(default: {output})')
    args = parser.parse_args()

    data = OnlineRetail(args.root)[0]
    for kind in ('user', 'item'):  # what 'hetero' starts from
        data[kind].x = data[kind].llm_x
    rows: dict[str, dict[str, float]] = {}
    for method, wrap in METHODS.items():
        print(f'{args.gnn} {method}', flush=True)
        torch.manual_seed(args.seed)
        gnn = make_model(args.gnn, data)
        model = wrap(gnn, data['item'].llm_x.size(1))
        result = fit(
            model,
            data,
            epochs=args.epochs,
            batch_size=args.batch_size,
            lr=args.lr,
            seed=args.seed,
            device=args.device,
        )
        metrics = evaluate(model, data, 'test', ks=(20,))
        rows[method] = {**metrics, 'best epoch': result.best_epoch}

    lines = [f'| {args.gnn} | Recall@20 | NDCG@20 | best epoch |', '|---' * 4]
    lines[1] += '|'
    for method, row in rows.items():
        lines.append(
            f'| {method} | {row["Recall@20"]:.4f} | {row["NDCG@20"]:.4f} | '
            f'{row["best epoch"]:.0f} |'
        )
    table = '\n'.join(lines)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / f'{args.gnn}.md').write_text(table + '\n')
    (args.output / f'{args.gnn}.json').write_text(json.dumps(rows, indent=1))
    print(f'\n{table}')


if __name__ == '__main__':
    main()
