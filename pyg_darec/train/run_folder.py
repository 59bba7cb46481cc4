"""A run folder from which its model can be had again.

Besides the files of :func:`~pyg_darec.train.fit` it holds ``config.yaml``,
which says what the run was made from, and ``metrics.json``.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch_geometric.data import HeteroData

from pyg_darec.datasets.folder import load_data
from pyg_darec.io import atomic_write
from pyg_darec.nn.build import build_model
from pyg_darec.nn.recommender import Recommender
from pyg_darec.train.weights import load_model

CONFIG = 'config.yaml'
METRICS = 'metrics.json'
WEIGHTS = 'model.safetensors'
MODEL_KEYS = (
    'backbone',
    'aligner',
    'dim',
    'backbone_options',
    'aligner_options',
    'seed',
)

Folder = str | os.PathLike[str]


def start_run(folder: Folder, config: Mapping[str, Any]) -> None:
    r"""Makes a run folder with its ``config.yaml``.

    Args:
        folder (str or os.PathLike): The folder.
        config (dict): The folder of the :obj:`data`, the arguments of
            :func:`~pyg_darec.nn.build.build_model` and any others.

    Raises:
        ValueError: If there is a run in the folder.
    """
    path = Path(folder) / CONFIG
    if path.exists():
        raise ValueError(
            f"'{folder}' holds an earlier run; resume it or choose another "
            f"folder (got a '{CONFIG}' in it)"
        )
    content = {**config, 'data': str(Path(config['data']).resolve())}
    with atomic_write(path) as tmp:
        tmp.write_text(
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True),
            encoding='utf-8',
        )


def read_config(folder: Folder) -> dict[str, Any]:
    r"""What :func:`start_run` wrote.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the file is damaged.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"'{folder}' holds no run; check the path (got no '{CONFIG}' in it)"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ValueError(f"'{path}' is no YAML file (got {e})") from e
    missing = [
        key
        for key in ('data', *MODEL_KEYS)
        if not isinstance(config, dict) or key not in config
    ]
    if missing:
        raise ValueError(
            f"'{path}' is not complete; start the run again in another folder "
            f'(got no {missing})'
        )
    out: dict[str, Any] = config
    return out


def load_run(
    folder: Folder, data: Folder | None = None
) -> tuple[Recommender, HeteroData]:
    r"""The trained model of a run and the data that it was trained on.

    .. code-block:: python

        model, data = load_run('runs/shop')

    Args:
        folder (str or os.PathLike): The run folder.
        data (str or os.PathLike, optional): The data folder, if it is no
            longer where it was. (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a folder is missing or training has not ended.
        ValueError: If a file is damaged, or the model does not fit the data.
    """
    config = read_config(folder)
    weights = Path(folder) / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(
            f"The run in '{folder}' has not ended; resume it "
            f"(got no '{WEIGHTS}' in it)"
        )
    graph = load_data(config['data'] if data is None else data)
    model = build_model(graph, **{key: config[key] for key in MODEL_KEYS})
    return load_model(model, weights).eval(), graph


def record_metrics(
    folder: Folder, metrics: Mapping[str, Mapping[str, float]]
) -> None:
    r"""Adds metrics, by the part of the data that they are for, to those in
    ``metrics.json``.
    """
    content = {**read_metrics(folder), **metrics}
    with atomic_write(Path(folder) / METRICS) as tmp:
        tmp.write_text(json.dumps(content, indent=1), encoding='utf-8')


def read_metrics(folder: Folder) -> dict[str, dict[str, float]]:
    r"""What :func:`record_metrics` wrote, empty before.

    Raises:
        ValueError: If the file is damaged.
    """
    path = Path(folder) / METRICS
    if not path.is_file():
        return {}
    try:
        out: dict[str, dict[str, float]] = json.loads(path.read_bytes())
    except ValueError as e:
        raise ValueError(
            f"'{path}' is damaged; remove it and evaluate again (got {e})"
        ) from e
    return out
