"""Propagation forward and backward against ``LGConv`` on a COO index, and the
memory of DaRec's global term.

    python benchmarks/propagation.py

One run of 800,000 directed edges at d = 64: each side takes one propagation
of users and items and its backward pass, in turns. Then the global term at
N = 10^5, 3 x 10^5 and 10^6, d = 32, each in a process of its own, with the
growth of its peak memory. Fails if the two propagations disagree.
"""

import argparse
import subprocess
import sys

import torch
from memory import current_mib, forget_peak, peak_mib
from timing import alternate, describe, machine, print_speedup
from torch_geometric.nn import LGConv

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.functional import gram_distance


def propagation(
    num_users: int, num_items: int, num_pairs: int, dim: int, rounds: int
) -> dict[str, list[float]]:
    torch.manual_seed(0)
    pairs = torch.stack(
        [torch.randint(n, (num_pairs,)) for n in (num_users, num_items)]
    )
    graph = BipartiteGraph(pairs, num_users, num_items)
    user, item = graph.edge_index[0], graph.edge_index[1] + num_users
    coo = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    x = torch.randn(num_users + num_items, dim, requires_grad=True)
    probe = torch.randn_like(x)
    conv = LGConv()

    def ours() -> torch.Tensor:
        out = torch.cat(graph.propagate(*x.split([num_users, num_items])))
        return torch.autograd.grad(out, x, probe)[0]

    def lgconv() -> torch.Tensor:
        return torch.autograd.grad(conv(x, coo), x, probe)[0]

    gap = float((ours() - lgconv()).abs().max())
    if gap > 1e-5:
        raise SystemExit(f'the two gradients differ by {gap}')
    print(
        f'{coo.size(1):,} directed edges, {len(x):,} nodes, d = {dim}; '
        f'largest difference of the gradients {gap:.1e}'
    )
    return alternate({'BipartiteGraph': ours, 'LGConv': lgconv}, rounds)


def gram_memory(num_nodes: int, dim: int = 32) -> None:
    """Prints by how much one step of the term raises the memory."""
    x = torch.randn(num_nodes, dim, requires_grad=True)
    y = torch.randn(num_nodes, dim, requires_grad=True)
    gram_distance(x[:10], y[:10]).backward()
    forget_peak()  # imports peaked higher than small terms do
    before = current_mib()
    gram_distance(x, y).backward()
    print(peak_mib() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--gram', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gram:
        gram_memory(args.gram)
        return

    print(machine())
    seconds = propagation(30_000, 40_000, 400_000, 64, args.rounds)
    for name, values in seconds.items():
        print(f'{name:>16} {describe(values)}')
    print_speedup(seconds, 'LGConv', 'BipartiteGraph', 16)

    print('\nglobal term, forward and backward, d = 32')
    for num in (10_000, 100_000, 1_000_000):
        out = subprocess.run(
            [sys.executable, __file__, '--gram', str(num)],
            check=True,
            capture_output=True,
            text=True,
        )
        mib = float(out.stdout)
        print(
            f'{num:>16,} nodes: {mib:7.1f} MiB, '
            f'{mib * 2**20 / num:.0f} bytes a node'
        )


if __name__ == '__main__':
    main()
