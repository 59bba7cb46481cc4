import platform
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyg_darec._version import __version__
from pyg_darec.cli.output import say
from pyg_darec.datasets.folder import load_data
from pyg_darec.io import atomic_write
from pyg_darec.io.lock import lock_folder
from pyg_darec.nn.build import build_model
from pyg_darec.train import FitResult, fit
from pyg_darec.train.checkpoint import CHECKPOINT
from pyg_darec.train.run_folder import (
    METRICS,
    MODEL_KEYS,
    check_data,
    read_metrics,
    record_metrics,
    start_run,
    update_run,
)
from pyg_darec.visualize import plot_curves


def train(
    data: Path,
    run: Path,
    *,
    backbone: str = 'lightgcn',
    aligner: str = 'darec',
    dim: int = 64,
    backbone_options: dict[str, Any] | None = None,
    aligner_options: dict[str, Any] | None = None,
    epochs: int = 300,
    batch_size: int = 4096,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    optimizer: str = 'adam',
    eval_every: int = 3,
    patience: int | None = 5,
    min_steps: int = 1000,
    monitor: str | None = None,
    seed: int = 0,
    device: str | None = None,
    precision: str | None = None,
    resume: Path | None = None,
) -> None:
    """Train a model, or go on with a run.

    The run folder gets config.yaml, data.json, log.txt, metrics.json,
    csv/metrics.csv, checkpoint.safetensors, model.safetensors and curves.png.
    The weights are those of the epoch that did best on the validation
    interactions; test interactions are not looked at. After an interruption,
    'pyg-darec train --resume RUN' goes on and ends with the same weights.

    Args:
        data: the data folder
        run: the run folder to write
        backbone: the recommender, such as lightgcn, simgcl or sgl
        aligner: how it learns from the texts, such as darec, rlmrec-con or
            kar; or none
        dim: the width of the embeddings
        backbone_options: more arguments of the backbone, such as
            '{num_layers: 2}'
        aligner_options: more arguments of the aligner
        epochs: the most epochs
        batch_size: the number of interactions in a step
        lr: the learning rate
        weight_decay: the weight of the L2 penalty
        optimizer: adam, adamw or lazy_adam
        eval_every: the number of epochs between two evaluations, and two
            checkpoints
        patience: the number of evaluations in a row without a new best one
            after which training stops; null for none
        min_steps: the number of training steps before which it does not stop
            early
        monitor: the validation metric that decides; Recall@20 if left out, or
            fewer than 20 for fewer than 40 items
        seed: the seed of all that is random
        device: where to train, such as cpu or cuda:1; a GPU if there is one,
            if left out
        precision: the precision, such as bf16-mixed
        resume: the run folder to go on with; what it was started with need
            not be given again; EPOCHS, PATIENCE and MIN_STEPS may be changed
    """
    config = dict(locals())
    for key in ('run', 'resume'):
        del config[key]
    if resume is not None and not data.is_dir():
        raise FileNotFoundError(
            f"'{resume}' was trained on data in '{data}'; name the folder "
            f"where it is now, as in 'pyg-darec train DATA --resume {resume}' "
            '(got no such folder)'
        )
    graph = load_data(data)
    # Before its first checkpoint nothing keeps a run from other options.
    is_new = resume is None or not (run / CHECKPOINT).exists()
    if not is_new:  # before the model, which other data may not fit
        check_data(run, graph, data)
    model = build_model(graph, **{key: config[key] for key in MODEL_KEYS})
    with lock_folder(run, reentrant=True):
        _train(run, is_new, resume is not None, config, model, graph)


def _train(
    run: Path,
    is_new: bool,
    resume: bool,
    config: dict[str, Any],
    model: Any,
    graph: Any,
) -> None:
    if is_new:
        start_run(run, config, graph)
    else:
        update_run(run, config)
    _log(run, f'{"started" if is_new else "resumed"}: {_versions()}')
    _log(run, f'{graph["user"].num_nodes} users, {model}')
    arguments = {
        key: value
        for key, value in config.items()
        if key == 'seed' or key not in ('data', *MODEL_KEYS)
    }
    result = fit(model, graph, run_dir=run, resume=resume, **arguments)
    metrics = result.best_metrics
    # What 'evaluate' found is of the weights before, unless they are the same.
    if (
        not metrics
        or metrics.items() - read_metrics(run).get('val', {}).items()
    ):
        (run / METRICS).unlink(missing_ok=True)
    record_metrics(run, {'val': metrics})
    _log(run, f'ended after epoch {len(result.history)}: {result}')
    _plot(run, result)
    best = metrics.get(str(result.monitor))
    found = '' if best is None else f', validation {result.monitor} {best:.4f}'
    say(
        f'{run}: epoch {result.best_epoch} of {len(result.history)} is kept'
        f'{found}'
    )


def _versions() -> str:
    return (
        f'pyg-darec {__version__}, torch {version("torch")}, Python '
        f'{platform.python_version()}'
    )


def _log(run: Path, text: str) -> None:
    with (run / 'log.txt').open('a', encoding='utf-8') as file:
        file.write(f'{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n')


def _plot(run: Path, result: FitResult) -> None:
    if find_spec('matplotlib') is None:
        say("No curves.png: run 'pip install matplotlib' for plots.")
        return
    metric = result.monitor or 'Recall@20'
    with atomic_write(run / 'curves.png') as path:
        plot_curves({run.name: result}, path, metric)
