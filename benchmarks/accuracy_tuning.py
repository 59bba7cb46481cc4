"""Settings found on the validation interactions, with one and the same budget
for every method and for the plain backbone.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from accuracy_runs import (
    METHODS,
    Run,
    check_settings,
    default_value,
    train,
    write_json,
)

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.resolver import resolve
from pyg_darec.train.checkpoint import fingerprint

# Of every method, the plain backbone included.
COMMON = {'lr': (5e-4, 1e-2), 'reg_weight': (1e-7, 1e-4)}


def tune(
    run: Run,
    graph: BipartiteGraph,
    num_trials: int,
    path: Path,
    device: str = 'auto',
) -> Run:
    """The run with the settings that have the highest validation Recall@20.

    The first trial has the settings of :obj:`run` and all defaults. The
    trials are written to :obj:`path` one by one; those that are there
    already are not trained again, but told to the sampler in their order, so
    that it goes on as if there had been no interruption.
    """
    made_with = asdict(run) | {'data': fingerprint(graph)}
    trials: list[dict[str, Any]] = []
    if path.exists():
        known = json.loads(path.read_text())
        check_settings(path, known['run'], made_with)
        trials = known['trials']

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction='maximize', sampler=sampler)
    study.enqueue_trial(defaults(run, graph))
    for n in range(num_trials):
        trial = study.ask()
        params = suggest(trial, run.method)
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


def suggest(trial: optuna.Trial, method: str) -> dict[str, float]:
    params: dict[str, float] = {}
    for name, (low, high) in (COMMON | METHODS[method].space).items():
        if isinstance(low, int) and isinstance(high, int):
            params[name] = trial.suggest_int(name, low, high, log=True)
        else:
            params[name] = trial.suggest_float(name, low, high, log=True)
    return params


def defaults(run: Run, graph: BipartiteGraph) -> dict[str, float]:
    backbone: Any = resolve(run.backbone).from_data(graph, 1)
    own = {
        name: default_value(run.method, name)
        for name in METHODS[run.method].space
    }
    return {'lr': run.lr, 'reg_weight': backbone.reg_weight, **own}


def apply(run: Run, params: dict[str, float], num_trials: int) -> Run:
    own = {k: v for k, v in params.items() if k not in COMMON}
    common = {k: v for k, v in params.items() if k in COMMON}
    return replace(run, **common, options=own, num_trials=num_trials)
