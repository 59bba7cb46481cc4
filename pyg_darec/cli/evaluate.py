import warnings
from pathlib import Path
from typing import Literal

from pyg_darec.cli.output import say
from pyg_darec.metrics import evaluate as compute_metrics
from pyg_darec.train.run_folder import load_run, record_metrics

KS = 5, 10, 20


def evaluate(
    run: Path,
    *,
    split: Literal['test', 'val'] = 'test',
    ks: list[int] | None = None,
    data: Path | None = None,
) -> None:
    """Measure a trained model on interactions that it has not seen.

    All items are ranked for every user. The numbers are printed and added to
    metrics.json in the run folder.

    Args:
        run: the run folder
        split: what to evaluate on, 'test' or 'val'
        ks: the lengths of the lists of recommendations; 5, 10 and 20 if left
            out, those that there are items for
        data: the data folder, if it is no longer where it was
    """
    model, graph = load_run(run, data)
    if ks is None:
        num_items = graph['item'].num_nodes
        ks = [k for k in KS if k <= num_items] or [num_items]
    metrics = compute_metrics(model, graph, split, tuple(ks))
    try:
        record_metrics(run, {split: metrics})
    except OSError as e:  # of somebody else's run
        warnings.warn(f"'{run}' cannot be written and keeps no metrics ({e})")
    say(*(f'{key:<14}{value:.4f}' for key, value in metrics.items()))
