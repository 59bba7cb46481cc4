"""The training time that a contender takes to a good model."""

from typing import Any

import numpy as np
import torch
from protocol import Failed
from split import Split
from tqdm import tqdm

from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import evaluate_embeddings

EVERY = 3  # epochs between evaluations
METRIC = 'NDCG@20'


def validation_graph(split: Split) -> BipartiteGraph:
    return BipartiteGraph(
        torch.from_numpy(split.train),
        split.num_users,
        split.num_items,
        edge_label_index={'val': torch.from_numpy(split.val)},
    )


def converge(benchmark: Any, label: str, split: Split) -> None:
    """Trains until the metric has not been better for some evaluations and
    keeps its course over the seconds of the epochs so far.
    """
    child = benchmark.start([label]).get(label)
    if child is None:
        return
    args, path = benchmark.args, benchmark.work / 'embedding.npz'
    graph = validation_graph(split)
    course: list[dict[str, float]] = []
    seconds, best, stale = 0.0, 0.0, 0
    bar = tqdm(range(EVERY, args.max_epochs + 1, EVERY), label, leave=False)
    try:
        for epoch in bar:
            seconds += sum(child.ask('epoch', repeats=EVERY)['seconds'])
            child.ask(f'embed {path.resolve()}')
            with np.load(path) as file:
                user, item = (
                    torch.from_numpy(file[k]) for k in ('user', 'item')
                )
            found = evaluate_embeddings(user, item, graph, 'val', (20,))
            value = found.mean()[METRIC]
            course.append({'epoch': epoch, 'seconds': seconds, METRIC: value})
            stale = 0 if value > best else stale + 1
            best = max(best, value)
            bar.set_postfix(refresh=False, best=best)
            if stale >= args.patience:
                break
    except Failed as error:
        benchmark.fail(label, str(error))
        return
    finally:
        child.close()
    benchmark.result['convergence'][label] = course


def seconds_to(course: list[dict[str, float]], goal: float) -> float | None:
    """When the metric was there for the first time, if it ever was."""
    reached = [row['seconds'] for row in course if row[METRIC] >= goal]
    return min(reached) if reached else None
