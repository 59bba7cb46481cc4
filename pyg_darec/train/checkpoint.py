"""A run that can be taken up again after the process was killed.

A checkpoint is *one* file, since two could be of different epochs after a
kill: safetensors, with everything that is not a tensor as JSON in its
metadata. It holds no random state, because every epoch of a run is seeded by
its number.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from pyg_darec.checks import is_dense, without_addresses
from pyg_darec.graph import BipartiteGraph
from pyg_darec.io.lock import lock_folder
from pyg_darec.nn.models import ForeignModel
from pyg_darec.nn.recommender import Recommender
from pyg_darec.train.tensor_file import (
    check_state,
    read_tensors,
    write_tensors,
)

CHECKPOINT = 'checkpoint.safetensors'
FORMAT = 'pyg_darec.checkpoint.3'
History = list[dict[str, float]]


class Checkpoint:
    r"""The file that holds the state of a run after its last evaluation.

    Args:
        path (pathlib.Path): The file.
        settings (dict): What has to be the same when the run continues.
        precision (Precision, optional): What scales gradients, if they are.
            (default: :obj:`None`)
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        precision: Precision | None = None,
    ) -> None:
        self.path = path
        self.precision = precision or Precision()
        # As they will be read: JSON has no tuples.
        self.settings = json.loads(json.dumps(settings))

    def save(
        self,
        model: Module,
        optimizers: Sequence[Optimizer],
        best: Mapping[str, Tensor],
        history: History,
    ) -> None:
        tensors = {f'model.{k}': v for k, v in model.state_dict().items()}
        tensors |= {f'best.{k}': v for k, v in best.items()}
        values: dict[str, Any] = {}
        for name, state in _states(model, optimizers):
            for key, value in state.items():
                kept = tensors if isinstance(value, Tensor) else values
                kept[f'optimizer.{key}.{name}'] = value
        # Some optimizers change their own options, such as 'lr', in a step.
        for index, group in enumerate(_groups(optimizers)):
            for key, value in group.items():
                if isinstance(value, Tensor):
                    tensors[f'group.{index}.{key}'] = value
                elif _is_plain(value):
                    values[f'group.{index}.{key}'] = value
        run = {
            'settings': self.settings,
            'history': history,
            'values': values,
            'scaler': self.precision.state_dict(),
        }
        metadata = {'pyg_darec': FORMAT, 'run': json.dumps(run)}
        write_tensors(tensors, self.path, metadata)

    def load(
        self, model: Module, optimizers: Sequence[Optimizer]
    ) -> tuple[dict[str, Tensor], History]:
        r"""Brings a model, its optimizers and the scale of gradients back
        to where they were, and returns the best weights and the history so far.

        Raises:
            ValueError: If the file is truncated, or of another model, other
                data or other settings.
        """
        tensors, metadata = read_tensors(self.path)
        if metadata.get('pyg_darec') != FORMAT:
            raise ValueError(
                f"'{self.path}' is not a checkpoint of this version of 'fit';"
                f" choose another 'run_dir' (got format "
                f'{metadata.get("pyg_darec")})'
            )
        parts: dict[str, dict[str, Any]] = {
            part: {} for part in ('model', 'best', 'optimizer', 'group')
        }
        run = json.loads(metadata['run'])
        for key, value in {**tensors, **run['values']}.items():
            part, name = key.split('.', 1)
            parts[part][name] = value
        check_state(model, parts['model'], self.path)
        self._check_settings(run['settings'])

        model.load_state_dict(parts['model'])
        states: dict[str, dict[str, Any]] = {}
        for key, value in parts['optimizer'].items():
            key, name = key.split('.', 1)
            states.setdefault(name, {})[key] = value
        for optimizer in optimizers:
            names = _names(model, optimizer)
            state = {i: states[n] for i, n in enumerate(names) if n in states}
            content = {**optimizer.state_dict(), 'state': state}
            optimizer.load_state_dict(content)
        groups = list(_groups(optimizers))
        for key, value in parts['group'].items():
            index, key = key.split('.', 1)
            own = groups[int(index)]
            if isinstance(value, Tensor):
                value = value.to(getattr(own.get(key), 'device', 'cpu'))
            own[key] = tuple(value) if isinstance(value, list) else value
        # Nothing of unscaled gradients, or from a time when it was not saved.
        if scaler := run.get('scaler'):
            self.precision.load_state_dict(scaler)
        history: History = run['history']
        return parts['best'], history

    def _check_settings(self, saved: Mapping[str, Any]) -> None:
        for key, value in self.settings.items():
            if saved.get(key) != value:
                raise ValueError(
                    f"'{self.path}' was written with another '{key}'; resume "
                    f"with the same one, or choose another 'run_dir' (got "
                    f'{value}, and {saved.get(key)} in the checkpoint)'
                )


def checkpoint_folder(
    run_dir: str | os.PathLike[str] | None, resume: bool
) -> Path | None:
    r"""The folder that :func:`~pyg_darec.train.fit` was given.

    Raises:
        ValueError: If there is none to go on in, or one with a checkpoint
            that would be overwritten.
    """
    if run_dir is None:
        if resume:
            raise ValueError(
                "'resume' needs the folder of the run to continue; pass "
                "'run_dir' (got run_dir=None)"
            )
        return None
    folder = Path(run_dir)
    if (folder / CHECKPOINT).exists() and not resume:
        raise ValueError(
            f"'{folder}' holds the checkpoint of an earlier run; pass "
            f"'resume=True' to continue it, or choose another 'run_dir' "
            f'(got resume=False)'
        )
    return folder


@contextmanager
def held(folder: Path | None) -> Iterator[None]:
    r"""Keeps other processes from training in a folder, and drops what an
    earlier one had not finished writing.
    """
    if folder is None:
        yield
        return
    with lock_folder(folder, reentrant=True):
        for part in folder.glob('.*.tmp.safetensors'):
            part.unlink(missing_ok=True)
        yield


def describe_model(model: Module) -> str:
    r"""What shapes of weights do not show: what a model prints as, without
    addresses in memory, and the plain values that its parts were made with.
    """
    trained = ', '.join(_trained(model))
    dtypes = sorted({str(p.dtype) for p in model.parameters()})
    options = {}
    for name, module in model.named_modules():
        is_recommender = isinstance(module, Recommender)
        # Modules of others may count steps in such values.
        if is_recommender or type(module).__module__.startswith('pyg_darec.'):
            options[name] = {
                key: value
                for key, value in vars(module).items()
                if not key.startswith('_')
                and key != 'training'
                and isinstance(value, str | int | float | dict | None)
            }
        if is_recommender:
            options[name]['objective'] = repr(module.objective)
        if isinstance(module, ForeignModel):  # which prints its class alone
            options[name]['model'] = repr(module.model)
    return without_addresses(
        f'{model!r} of {dtypes} training {trained} with {options}'
    )


def fingerprint(graph: BipartiteGraph) -> str:
    r"""A hash of the interactions that a run trains and validates on, with
    their weights if these are others than degrees give, of the profile
    embeddings, and of the features of nodes and of the edges of other
    relations that a model may read.
    """
    parts = [graph.edge_index, graph.edge_label_index.get('val')]
    parts += [graph.llm_x.get(kind) for kind in ('user', 'item')]
    # A weight that is trained is a part of the model, and changes.
    if graph.is_weighted and not graph.weight.requires_grad:
        parts.append(graph.weight)
    if graph.source is not None:
        for store in graph.source.node_stores:
            x = store.get('x')
            if is_dense(x) and x.numel() > 0 and not x.requires_grad:
                parts.append(x)
        # The other direction is made from training interactions.
        src, rel, dst = graph.edge_type
        pairs = (src, rel, dst), (dst, f'rev_{rel}', src)
        edges = graph.source.collect('edge_index', True)
        others = [x for name, x in edges.items() if name not in pairs]
        parts += [x for x in others if is_dense(x) and x.numel() > 0]
    digest = hashlib.sha256(f'{graph.num_users} {graph.num_items}'.encode())
    for part in parts:
        digest.update(b'|')
        if part is not None:
            digest.update(part.reshape(-1).cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _trained(model: Module) -> list[str]:
    return [name for name, p in model.named_parameters() if p.requires_grad]


def _names(model: Module, optimizer: Optimizer) -> list[str]:
    """Parameter names in the order in which the optimizer counts them."""
    names = {id(param): name for name, param in model.named_parameters()}
    groups = optimizer.param_groups
    return [names[id(p)] for group in groups for p in group['params']]


def _groups(optimizers: Iterable[Optimizer]) -> Iterator[dict[str, Any]]:
    for optimizer in optimizers:
        yield from optimizer.param_groups


def _is_plain(value: Any) -> bool:
    """Whether JSON gives it back, but for a list in place of a tuple."""
    if isinstance(value, tuple):
        return all(isinstance(x, int | float) for x in value)
    return isinstance(value, int | float | str | None)


def _states(
    model: Module, optimizers: Sequence[Optimizer]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of every parameter and what its optimizer knows of it."""
    for optimizer in optimizers:
        names = _names(model, optimizer)
        for index, state in optimizer.state_dict()['state'].items():
            yield names[index], state
