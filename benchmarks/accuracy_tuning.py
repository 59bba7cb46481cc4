"""Settings found on the validation interactions, with one and the same budget
for every method and for the plain backbone.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import optuna
from accuracy_runs import (
    METHODS,
    Run,
    check_settings,
    default_value,
    make_backbone,
    record,
    train,
    write_json,
)
from alpharec import AlphaRec

from pyg_darec.graph import BipartiteGraph

Space: TypeAlias = dict[str, tuple[float, float]]

# Of every method, the plain backbone included.
LR = 5e-4, 1e-2
REG_WEIGHT = 1e-7, 1e-4
TEMPERATURE = 0.05, 1.0


def tune(
    run: Run,
    graph: BipartiteGraph,
    num_trials: int,
    path: Path,
    device: str = 'auto',
    backbone_params: dict[str, float] | None = None,
) -> Run:
    """The run with the settings that have the highest validation Recall@20.

    The first trial has the settings of :obj:`run` and all defaults, the second
    one those that were found for the plain backbone, if they are given. The
    trials are written to :obj:`path` one by one; those that are there
    already are not trained again, but told to the sampler in their order, so
    that it goes on as if there had been no interruption.
    """
    made_with = record(run, graph)
    trials: list[dict[str, Any]] = []
    if path.exists():
        known = json.loads(path.read_text())
        check_settings(path, known['run'], made_with)
        trials = known['trials']

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction='maximize', sampler=sampler)
    options = run.backbone_options
    backbone = make_backbone(run.backbone, graph, run.dim, **options)
    study.enqueue_trial(defaults(run, backbone))
    if backbone_params is not None:
        study.enqueue_trial(defaults(run, backbone) | backbone_params)
    for n in range(num_trials):
        trial = study.ask()
        params = suggest(trial, space(run.method, backbone))
        if n == len(trials):
            print(f'{run.folder}, trial {n + 1}/{num_trials} {params}')
            outcome = attempt(apply(run, params, num_trials), graph, device)
            trials.append({'params': params, **outcome})
            write_json(path, {'run': made_with, 'trials': trials})
        elif trials[n]['params'] != params:
            raise ValueError(
                f"'{path}' was made with another search space or version of "
                f'Optuna; delete it (got {trials[n]["params"]} as trial '
                f'{n + 1}, not {params})'
            )
        study.tell(trial, trials[n]['validation'])
    best = max(trials[:num_trials], key=lambda trial: trial['validation'])
    return apply(run, best['params'], num_trials)


def attempt(run: Run, graph: BipartiteGraph, device: str) -> dict[str, Any]:
    try:
        _, trained = train(run, graph, device)
    except FloatingPointError as error:  # as bad as can be, but an outcome
        return {'validation': 0.0, 'error': str(error)}
    return {
        'validation': trained.best_metrics[str(trained.monitor)],
        'best epoch': trained.best_epoch,
    }


def backbone_space(backbone: Any) -> Space:
    """What is tuned of a backbone: its penalty, its own contrast, with
    which alignment has to get along, and its temperature, if it has them.
    """
    found: Space = {}
    if hasattr(backbone, 'reg_weight'):
        found['reg_weight'] = REG_WEIGHT
    if hasattr(backbone, 'ssl_weight'):
        weight = backbone.ssl_weight
        found['ssl_weight'] = weight / 100, 10 * weight
    if isinstance(backbone, AlphaRec):
        found['temperature'] = TEMPERATURE
    return found


def space(method: str, backbone: Any) -> Space:
    return {'lr': LR} | backbone_space(backbone) | METHODS[method].space


def suggest(trial: optuna.Trial, space: Space) -> dict[str, float]:
    params: dict[str, float] = {}
    for name, (low, high) in space.items():
        if isinstance(low, int) and isinstance(high, int):
            params[name] = trial.suggest_int(name, low, high, log=True)
        else:
            params[name] = trial.suggest_float(name, low, high, log=True)
    return params


def defaults(run: Run, backbone: Any) -> dict[str, float]:
    of_backbone = {k: getattr(backbone, k) for k in backbone_space(backbone)}
    own = {k: default_value(run.method, k) for k in METHODS[run.method].space}
    return {'lr': run.lr, **of_backbone, **own}


def apply(run: Run, params: dict[str, float], num_trials: int) -> Run:
    own = {k: v for k, v in params.items() if k in METHODS[run.method].space}
    of_backbone = {
        k: v for k, v in params.items() if k != 'lr' and k not in own
    }
    return replace(
        run,
        lr=params['lr'],
        backbone_options=run.backbone_options | of_backbone,
        options=own,
        num_trials=num_trials,
    )
