"""A run folder from which its model can be had again.

Besides the files of :func:`~pyg_darec.train.fit` it holds ``config.yaml``,
which says what the run was made from, ``data.json``, by which the data that it
was trained on is known again, and ``metrics.json``.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.datasets.folder import load_data
from pyg_darec.graph import BipartiteGraph
from pyg_darec.io import atomic_write
from pyg_darec.nn.build import build_model
from pyg_darec.nn.recommender import Recommender
from pyg_darec.retrieval.nodes import node_ids
from pyg_darec.train.checkpoint import CHECKPOINT
from pyg_darec.train.weights import WEIGHTS, load_model

CONFIG = 'config.yaml'
DATA = 'data.json'
METRICS = 'metrics.json'
MODEL_KEYS = (
    'backbone',
    'aligner',
    'dim',
    'backbone_options',
    'aligner_options',
    'seed',
)

# What may be different when a run goes on.
LENGTH_KEYS = ('epochs', 'patience', 'min_steps')

EMBEDDINGS = 'profile embeddings'

Folder = str | os.PathLike[str]


def start_run(
    folder: Folder,
    config: Mapping[str, Any],
    data: HeteroData | BipartiteGraph,
) -> None:
    r"""Makes a run folder with its ``config.yaml`` and ``data.json``. Those of
    a run that ended before its first checkpoint are replaced.

    Args:
        folder (str or os.PathLike): The folder.
        config (dict): The folder of the :obj:`data`, the arguments of
            :func:`~pyg_darec.nn.build.build_model` and any others.
        data (HeteroData or BipartiteGraph): What is in that folder.

    Raises:
        ValueError: If there is a run in the folder.
    """
    folder = Path(folder)
    for name in (CHECKPOINT, WEIGHTS):
        if (folder / name).exists():
            raise ValueError(
                f"'{folder}' holds an earlier run; resume it from its "
                f"'{CHECKPOINT}' or choose another folder (got a '{name}' in "
                'it)'
            )
    _check_ours(folder)
    hashes = dict(_HASHES)
    if config['aligner'] in (None, 'none'):
        del hashes[EMBEDDINGS]  # no part of the run
    found = {part: hash_of(data) for part, hash_of in hashes.items()}
    _write_json(folder / DATA, found)
    settings = {**config, 'data': str(Path(config['data']).resolve())}
    _write_config(folder, settings)


def _check_ours(folder: Path) -> None:
    """Nothing of others is overwritten."""
    if (folder / CONFIG).exists() and (folder / DATA).exists():
        read_config(folder)  # of a run that ended before its first checkpoint
        read_metrics(folder)
        return
    others = sorted(folder.glob('[!.]*'))  # no lock
    if others:
        raise ValueError(
            f"'{folder}' holds other files; choose a new or an empty folder "
            f"for the run (got a '{others[0].name}' in it)"
        )


def update_run(folder: Folder, config: Mapping[str, Any]) -> None:
    r"""Keeps what a run goes on with in its ``config.yaml``: how long, and
    where its data is now.
    """
    known = read_config(folder)
    changed = {key: config[key] for key in LENGTH_KEYS}
    changed['data'] = str(Path(config['data']).resolve())
    if {**known, **changed} != known:
        _write_config(folder, {**known, **changed})


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
        ValueError: If a file is damaged, or the data is not what the model
            was trained on.
    """
    config = read_config(folder)
    weights = Path(folder) / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(
            f"The run in '{folder}' has not ended; resume it "
            f"(got no '{WEIGHTS}' in it)"
        )
    source = config['data'] if data is None else data
    if not Path(source).is_dir():
        raise FileNotFoundError(
            f"The run in '{folder}' was trained on data in '{source}'; name "
            "the folder where it is now as 'data' (got no such folder)"
        )
    graph = load_data(source)
    check_data(folder, graph, source)
    model = build_model(graph, **{key: config[key] for key in MODEL_KEYS})
    return load_model(model, weights).eval(), graph


def check_data(
    folder: Folder, data: HeteroData | BipartiteGraph, source: Folder
) -> None:
    r"""Checks that a run was trained on the data, as far as it is known: there
    was no ``data.json`` in earlier versions.

    Args:
        folder (str or os.PathLike): The run folder.
        data (HeteroData or BipartiteGraph): The data.
        source (str or os.PathLike): Where it is from, for error messages.

    Raises:
        ValueError: If it has other interactions, training or held out, other
            ids or other profile embeddings, or ``data.json`` is damaged.
    """
    known = _read_json(Path(folder) / DATA, 'remove it to go without a check')
    for part, value in known.items():
        if part not in _HASHES or _HASHES[part](data) != value:
            raise ValueError(
                f"'{source}' needs to hold the {part} that the run in "
                f"'{folder}' was trained on; prepare and encode it as it was, "
                f"name the folder that has them as 'data', or train anew in "
                f'another run folder (got other {part})'
            )


def record_metrics(
    folder: Folder, metrics: Mapping[str, Mapping[str, float]]
) -> None:
    r"""Adds metrics, by the part of the data that they are for, to those in
    ``metrics.json``.
    """
    content = read_metrics(folder)
    for part, values in metrics.items():
        content[part] = {**content.get(part, {}), **values}
    _write_json(Path(folder) / METRICS, content)


def read_metrics(folder: Folder) -> dict[str, dict[str, float]]:
    r"""What :func:`record_metrics` wrote, empty before.

    Raises:
        ValueError: If the file is damaged.
    """
    path, advice = Path(folder) / METRICS, 'remove it and evaluate again'
    out: dict[str, dict[str, float]] = _read_json(path, advice)
    for part, metrics in out.items():
        if not isinstance(metrics, dict) or not all(
            isinstance(value, int | float) for value in metrics.values()
        ):
            raise ValueError(
                f"'{path}' is damaged; {advice} (got no numbers for '{part}')"
            )
    return out


def _hash_interactions(data: HeteroData | BipartiteGraph) -> str:
    graph = as_graph(data)
    held_out = [graph.edge_label_index.get(split) for split in ('val', 'test')]
    return _hash(graph.edge_index, *held_out)


def _hash_ids(data: HeteroData | BipartiteGraph) -> str:
    ids = [list(node_ids(data, kind)) for kind in ('user', 'item')]
    return hashlib.sha256(json.dumps(ids, default=str).encode()).hexdigest()


def _hash_embeddings(data: HeteroData | BipartiteGraph) -> str:
    return _hash(*(as_graph(data).llm_x.get(k) for k in ('user', 'item')))


_HASHES = {
    'interactions': _hash_interactions,
    'ids': _hash_ids,
    EMBEDDINGS: _hash_embeddings,
}


def _hash(*parts: Tensor | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b'|')
        if part is not None:
            digest.update(f'{part.dtype} {list(part.shape)}'.encode())
            raw = part.detach().contiguous().cpu().view(torch.uint8)
            digest.update(raw.numpy().data)
    return digest.hexdigest()


def _write_config(folder: Folder, config: Mapping[str, Any]) -> None:
    with atomic_write(Path(folder) / CONFIG) as tmp:
        tmp.write_text(
            yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
            encoding='utf-8',
        )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path) as tmp:
        tmp.write_text(json.dumps(content, indent=1), encoding='utf-8')


def _read_json(path: Path, advice: str) -> dict[str, Any]:
    """An object, empty without the file."""
    if not path.is_file():
        return {}
    try:
        out = json.loads(path.read_bytes())
    except ValueError as e:
        raise ValueError(f"'{path}' is damaged; {advice} (got {e})") from e
    if not isinstance(out, dict):
        raise ValueError(
            f"'{path}' is damaged; {advice} (got a '{type(out).__name__}')"
        )
    return out
