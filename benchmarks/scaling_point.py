"""One size of a synthetic graph in a process of its own: called by
``scaling.py`` and ``gpu.py`` with the point as JSON, prints its measurements as
JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from memory import current_mib, forget_peak, peak_mib
from random_profiles import random_profiles
from timing import median_seconds, synchronize
from torch import Tensor, nn

from pyg_darec import DaRecAlign
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader
from pyg_darec.metrics import evaluate
from pyg_darec.nn.align import RLMRecConAlign, RLMRecGenAlign
from pyg_darec.nn.models import LightGCN

ALIGNERS: dict[str, Callable[[nn.Module, int], nn.Module]] = {
    'DaRecAlign': DaRecAlign,
    'DaRecAlign paper': lambda model, dim: DaRecAlign(
        model, dim, preset='paper'
    ),
    'RLMRecConAlign': RLMRecConAlign,
    'RLMRecGenAlign': RLMRecGenAlign,
}
LAYERS = 3
RANK, NEIGHBORS = 64, 5  # the defaults of DaRec
EVALUATED = 1000  # users
Point = dict[str, Any]


def sizes(point: Point) -> tuple[int, int]:
    """As many users as items."""
    return point['nodes'] // 2, point['nodes'] - point['nodes'] // 2


def needed_mib(point: Point) -> dict[str, float]:
    """What a step has to keep, in float32: parameters and the state of Adam;
    both directions of the matrix in int32 and the pairs in int64; a key of each
    pair and the triples of an epoch in int64, as an epoch is sampled at once;
    profiles, and for the default of DaRec their components and nearest
    neighbours; as activations the gradients, the input and output of every
    propagation, the embeddings of the batch and, for each row that is aligned,
    its profile and the outputs of the encoders.
    """
    dim, llm_dim, batch = point['dim'], point['llm_dim'], point['batch']
    edges, nodes = point['edges'], point['nodes']
    users, items = sizes(point)
    hidden, rank = (llm_dim + dim) // 2, min(RANK, llm_dim)
    # Encoders of profiles, and the rows that each of them gets.
    encoders, rows = {
        'DaRecAlign paper': (2, min(4096, nodes)),
        'RLMRecConAlign': (1, users + 2 * min(batch, items)),
        'RLMRecGenAlign': (1, nodes // 10),
    }.get(point['model'], (0, 0))
    is_injected = point['model'] == 'DaRecAlign'
    weights = nodes * dim + encoders * hidden * (llm_dim + dim)
    weights += 2 * rank * dim * is_injected
    profiles = nodes * llm_dim * (point['model'] in ALIGNERS)
    # A pair of neighbours is stored at both, beside the node itself.
    profiles += nodes * (rank + 2 * (2 * NEIGHBORS + 1)) * is_injected
    counts = {
        'parameters': weights,
        'adam': 2 * weights,
        'graph': 8 * edges + nodes,
        'samples': (1 + 3) * 2 * edges,
        'profiles': profiles,
        'activations': weights
        + (LAYERS + 1 + is_injected) * nodes * dim
        + 3 * batch * dim
        + rows * (llm_dim + encoders * (hidden + dim)),
    }
    return {name: 4 * count / 2**20 for name, count in counts.items()}


def random_pairs(point: Point) -> Tensor:
    """Distinct pairs with popular items, exactly as many as asked for."""
    users, items = sizes(point)
    edges, device = point['edges'], point.get('device', 'cpu')
    if edges > users * items // 2:
        raise SystemExit(f'{edges} edges are too many for {point["nodes"]}')
    generator = torch.Generator(device).manual_seed(0)
    on: dict[str, Any] = {'generator': generator, 'device': device}
    cell = torch.empty(0, dtype=torch.long, device=device)
    while cell.numel() < edges:
        count = int(1.1 * (edges - cell.numel())) + 10
        place = torch.rand(count, dtype=torch.double, **on)
        item = (place.pow_(1.5) * items).long()
        user = torch.randint(users, (count,), **on)
        cell = torch.cat([cell, user.mul_(items).add_(item)]).unique()
    chosen = torch.randperm(cell.numel(), **on)[:edges]
    cell = cell[chosen]
    return torch.stack([cell // items, cell % items])


def build_graph(point: Point, pairs: Tensor) -> BipartiteGraph:
    users, items = sizes(point)
    some = torch.randperm(users)[:EVALUATED]
    held_out = torch.stack([some, torch.randint(items, some.shape)])
    held_out = held_out.to(pairs.device)
    return BipartiteGraph(
        pairs, users, items, edge_label_index={'test': held_out}
    )


def watch_peak(device: str, imports: float) -> Callable[[], float]:
    """Forgets the peak so far; what it returns tells that since, in MiB."""
    if device != 'cuda':
        forget_peak()
        return lambda: peak_mib() - imports
    torch.cuda.reset_peak_memory_stats()
    return lambda: torch.cuda.max_memory_allocated() / 2**20


def measure(point: Point) -> Point:
    device, imports = point.get('device', 'cpu'), current_mib()
    torch.manual_seed(0)
    pairs = random_pairs(point)
    synchronize(device)
    start = time.perf_counter()
    graph = build_graph(point, pairs)
    synchronize(device)
    out: Point = {'build': time.perf_counter() - start}
    del pairs
    if point['model'] in ALIGNERS:
        graph.llm_x |= random_profiles(graph, point['llm_dim'])
    model: Any = LightGCN.from_data(graph, point['dim'], num_layers=LAYERS)
    if point['model'] in ALIGNERS:
        model = ALIGNERS[point['model']](model, point['llm_dim'])
    model = model.to(device)
    adam = torch.optim.Adam(model.parameters(), fused=True)
    loader = PairLoader(graph, point['batch'])

    def step() -> None:
        model.renew(graph, 1, 0)
        adam.zero_grad()
        model.loss(graph, batch)[0].backward()
        adam.step()

    @torch.no_grad()
    def propagate() -> None:
        model.eval()
        model(graph)
        model.train()

    def timed(function: Callable[[], object]) -> float:
        """At least three calls after a first one, and about a second."""
        once = median_seconds(function, 1, device)
        repeats = min(max(round(1 / once), 3), 15)
        return median_seconds(function, repeats, device)

    out['sample'] = timed(lambda: next(iter(loader)))
    batch = next(iter(loader))
    # With what is prepared once, such as neighbours of profiles.
    synchronize(device)
    peak = watch_peak(device, imports)
    start = time.perf_counter()
    step()
    synchronize(device)
    out['first'] = time.perf_counter() - start
    out['first_peak_mib'] = peak()
    peak = watch_peak(device, imports)
    out['step'] = timed(step)
    out['peak_mib'] = peak()
    out['propagate'] = timed(propagate)
    k = min(20, graph.num_items // 2)
    out['evaluate'] = timed(lambda: evaluate(model, graph, ks=(k,)))
    return out


if __name__ == '__main__':
    print(json.dumps(measure(json.loads(sys.argv[1]))))
