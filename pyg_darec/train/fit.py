"""The training loop."""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import torch
from lightning_fabric.loggers.logger import Logger
from torch.nn import Module
from torch_geometric.data import HeteroData
from tqdm.auto import tqdm

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import (
    as_count,
    as_seed,
    check_count,
    check_positive,
    check_weight,
)
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import Negatives, PairLoader
from pyg_darec.nn.models import as_recommender
from pyg_darec.train.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    checkpoint_folder,
    describe_model,
    fingerprint,
    held,
)
from pyg_darec.train.epoch import train_epoch
from pyg_darec.train.fabric import make_fabric
from pyg_darec.train.lazy import materialize
from pyg_darec.train.logs import RunLogs
from pyg_darec.train.optimizer import (
    OptimizerLike,
    describe_optimizer,
    make_optimizers,
)
from pyg_darec.train.reproducible import reproducible, seed_all
from pyg_darec.train.result import FitResult
from pyg_darec.train.training_loss import (
    CompileMode,
    TrainingLoss,
    compile_loss,
)
from pyg_darec.train.validation import (
    check_watch,
    check_weights,
    choose_monitor,
    observe,
    validate,
)
from pyg_darec.train.weights import WEIGHTS, save_model, snapshot


@torch.inference_mode(False)
def fit(
    model: Module,
    data: HeteroData | BipartiteGraph,
    epochs: int = 300,
    batch_size: int = 4096,
    lr: float = 1e-3,
    *,
    weight_decay: float = 0.0,
    optimizer: OptimizerLike = 'adam',
    eval_every: int = 3,
    patience: int | None = 5,
    min_steps: int = 1000,
    monitor: str | None = None,
    negatives: Negatives = 'uniform',
    seed: int = 0,
    device: str | torch.device | None = None,
    devices: int = 1,
    precision: str | None = None,
    compile: bool | CompileMode = False,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    loggers: Sequence[Logger] = (),
    watch: Callable[[], Mapping[str, float]] | None = None,
) -> FitResult:
    r"""Trains a model, keeps an eye on the validation
    interactions, and leaves the model with the weights that did best there,
    on the device that it was trained on and in evaluation mode.

    Everything random is a function of :obj:`seed` and of the epoch. On a CPU
    the same call gives the same weights, bit for bit, and so does a run that
    was killed at any moment and continued with :obj:`resume=True`. The
    global random state is the same before and after, and so is whether
    gradients are on: it trains where they are off as well.

    Without validation interactions in :obj:`data`, all :obj:`epochs` are
    trained and the last weights are kept. If it is interrupted from the
    keyboard, the model has the best weights so far, too.

    Args:
        model (torch.nn.Module): A backbone, an aligner, or any module that
            returns user and item embeddings
            (see :func:`~pyg_darec.nn.models.as_recommender`).
        data (HeteroData or BipartiteGraph): The interactions.
        epochs (int, optional): The largest number of epochs.
            (default: :obj:`300`)
        batch_size (int, optional): The number of interactions in a step,
            over all devices. (default: :obj:`4096`)
        lr (float, optional): The learning rate. (default: :obj:`1e-3`)
        weight_decay (float, optional): The weight of the :math:`L_2` penalty
            that Adam adds to all gradients, or of the decay of AdamW.
            (default: :obj:`0.0`)
        optimizer (str or callable, optional): :obj:`'adam'`;
            :obj:`'adamw'`, which decays matrices and tables, but no biases
            and other vectors; :obj:`'lazy_adam'`, which leaves rows of
            embedding tables alone in steps in which they have no gradient,
            and takes sparse gradients; or what is called with the parameters
            and :obj:`lr`, such as :obj:`torch.optim.SGD`.
            (default: :obj:`'adam'`)
        eval_every (int, optional): The number of epochs between evaluations,
            and between checkpoints. The last epoch always has one.
            (default: :obj:`3`)
        patience (int, optional): The number of evaluations in a row without
            a new best one after which training stops. If :obj:`None`, it
            never stops early. (default: :obj:`5`)
        min_steps (int, optional): The number of training steps before which
            it does not stop early. Models learn what is popular first, and
            those that start with what profiles say may get worse before they
            get better; where an epoch has few steps, :obj:`patience` alone
            does not outlast that. (default: :obj:`1000`)
        monitor (str, optional): The validation metric that is the higher the
            better, as :func:`~pyg_darec.metrics.evaluate` names it
            (coverage is none). (default: :obj:`'Recall@20'`, or half of the
            items where there are fewer than 40)
        negatives (str, optional): Where negative items come from:
            :obj:`'uniform'`, :obj:`'popularity'` or :obj:`'in_batch'`, see
            :class:`~pyg_darec.loader.PairLoader`. (default: :obj:`'uniform'`)
        seed (int, optional): The seed. (default: :obj:`0`)
        device (str or torch.device, optional): Where to train, such as
            :obj:`'cpu'` or :obj:`'cuda:1'`. If :obj:`None` or
            :obj:`'auto'`, a GPU if there is one. (default: :obj:`None`)
        devices (int, optional): The number of devices. With more than one,
            Lightning Fabric runs the calling script once for each, and they
            share every batch. (default: :obj:`1`)
        precision (str, optional): The precision of
            :class:`lightning_fabric.Fabric`, such as :obj:`'bf16-mixed'`.
            (default: :obj:`None`)
        compile (bool or str, optional): If set to :obj:`True` or to a mode
            of :func:`torch.compile`, compiles the loss of the model;
            :obj:`'reduce-overhead'` uses CUDA graphs, and makes no
            difference to :obj:`True` on a CPU. (default: :obj:`False`)
        run_dir (str or os.PathLike, optional): A folder for the checkpoint
            (:obj:`checkpoint.safetensors`), the final weights
            (:obj:`model.safetensors`, see
            :func:`~pyg_darec.train.load_model`), the history
            (:obj:`csv/metrics.csv`) and, if TensorBoard is installed, its
            event files. (default: :obj:`None`)
        resume (bool, optional): If set to :obj:`True`, continues from the
            checkpoint in :obj:`run_dir`; where there is none yet, starts
            from scratch. :obj:`epochs`, :obj:`patience` and
            :obj:`min_steps` may differ from the first call. A finished run
            returns at once. (default: :obj:`False`)
        progress (bool, optional): If set to :obj:`False`, shows no progress
            bar. (default: :obj:`True`)
        loggers (list, optional): More loggers of Lightning Fabric.
            (default: :obj:`()`)
        watch (callable, optional): Called after every evaluation; what it
            returns is logged beside the metrics, such as
            :class:`~pyg_darec.nn.align.Diagnostics`. (default: :obj:`None`)

    Raises:
        TypeError: If :obj:`optimizer`, :obj:`loggers` or :obj:`watch` is none.
        ValueError: If an argument is out of range, there is nothing to train
            on, or the checkpoint in :obj:`run_dir` is damaged, would be
            overwritten, or is of another model, other data or other
            settings.
        FloatingPointError: If a loss or a weight stops being finite.
        RuntimeError: If another process trains in :obj:`run_dir`.
        OSError: If a checkpoint cannot be written. The one before is intact.
    """
    check_count(
        epochs=epochs,
        batch_size=batch_size,
        eval_every=eval_every,
        patience=patience,
        devices=devices,
    )
    check_positive(lr=lr)
    check_weight(min_steps=min_steps, weight_decay=weight_decay)
    check_watch(watch)
    # Numbers of NumPy pass these checks, and are none to a checkpoint.
    batch_size, eval_every = as_count(batch_size), as_count(eval_every)
    lr, weight_decay = float(lr), float(weight_decay)
    seed = as_seed(seed)
    folder = checkpoint_folder(run_dir, resume)
    fabric = make_fabric(device, devices, precision)
    fabric.launch()
    device, rank = fabric.device, fabric.global_rank
    graph = as_graph(data).to(device)
    monitor = choose_monitor(graph, monitor)
    loader = PairLoader(
        graph,
        batch_size,
        seed=seed,
        rank=rank,
        world_size=fabric.world_size,
        negatives=negatives,
    )

    with (
        held(folder if rank == 0 else None),
        reproducible(device),
        closing(RunLogs(folder, loggers)) as logs,
    ):
        seed_all(device, seed, 0)
        # 'net' computes; what is saved and reported goes by the names of
        # 'model', which are those that the caller knows.
        net = as_recommender(model).to(device)
        materialize(net, graph, loader)
        module = fabric.setup_module(compile_loss(TrainingLoss(net), compile))
        optimizers = make_optimizers(model, optimizer, lr, weight_decay)
        steppers = [fabric.setup_optimizers(o) for o in optimizers]
        result, best = FitResult([], monitor), snapshot(model)

        checkpoint = None
        if folder is not None:
            settings = {
                'data': fingerprint(graph),
                'model': describe_model(model),
                'batch_size': batch_size,
                'lr': lr,
                'weight_decay': weight_decay,
                'optimizer': describe_optimizer(optimizer, optimizers),
                'compile': compile,
                'eval_every': eval_every,
                'monitor': monitor,
                'negatives': negatives,
                'seed': seed,
                'precision': precision,
            }
            checkpoint = Checkpoint(
                folder / CHECKPOINT, settings, fabric.strategy.precision
            )
            if checkpoint.path.exists():
                best, history = checkpoint.load(model, optimizers)
                result = FitResult(history, monitor)
        if rank == 0:
            logs.restart(result.history)

        bar = tqdm(
            range(len(result.history) + 1, epochs + 1),
            'Training',
            disable=rank != 0 or not progress,
        )
        try:
            for epoch in bar:
                # After an evaluation alone: what follows one is not saved.
                done = result.history and monitor in result.history[-1]
                is_stale = patience is not None and result.num_stale >= patience
                if done and is_stale and (epoch - 1) * len(loader) >= min_steps:
                    break
                seed_all(device, seed, epoch, rank)
                loader.epoch = epoch
                row = train_epoch(
                    fabric, module, steppers, graph, loader, epoch
                )
                pause = epoch % eval_every == 0 or epoch == epochs
                if pause:
                    check_weights(model, epoch)
                if pause and monitor is not None and net.is_ready(epoch):
                    row |= validate(net, graph, monitor)
                if pause and watch is not None:
                    row |= observe(watch, row)
                result = FitResult([*result.history, row], monitor)
                if pause and result.best_epoch == epoch:
                    best = snapshot(model)
                if pause and checkpoint is not None and rank == 0:
                    checkpoint.save(model, optimizers, best, result.history)
                logs.log(row)
                best_value = result.best_metrics.get(str(monitor), math.nan)
                bar.set_postfix(
                    refresh=False, loss=row['loss'], best=best_value
                )
        except KeyboardInterrupt:
            if result.evaluations:
                model.load_state_dict(best)
            net.eval()
            raise

        if not net.is_ready(len(result.history)):
            warnings.warn(
                f"'{type(model).__name__}' trains something else first and "
                "cannot be judged yet; raise 'epochs' "
                f'(got {len(result.history)})'
            )
        model.load_state_dict(best)
        net.eval()
        if folder is not None and rank == 0:
            save_model(model, folder / WEIGHTS)
    return result
