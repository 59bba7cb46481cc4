"""What the benchmarks of accuracy share: methods, and runs that have a folder
each, in which one that was killed continues and one that is done is read.
"""

import argparse
import hashlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from alpharec import AlphaRec
from data_sets import add_data_arguments
from safetensors.torch import load_file, save_file
from timing import machine
from torch import Tensor, nn
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec import DaRecAlign, __version__, fit
from pyg_darec.graph import BipartiteGraph
from pyg_darec.io import atomic_write
from pyg_darec.metrics import evaluate_per_user
from pyg_darec.nn.align import (
    Aligner,
    ControlRecAlign,
    CTRLAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.models import LightGCN, as_recommender
from pyg_darec.nn.objectives import (
    BCE,
    BPR,
    DirectAU,
    Objective,
    SampledSoftmax,
)
from pyg_darec.nn.resolver import resolve
from pyg_darec.train.checkpoint import fingerprint
from pyg_darec.train.result import FitResult

METRICS = ('Recall@20', 'NDCG@20')


def pyg_lightgcn(
    graph: BipartiteGraph, dim: int, num_layers: int = 3
) -> PyGLightGCN:
    """As its users have it: a mean of layers, no penalty."""
    return PyGLightGCN(graph.num_nodes, dim, num_layers)


# Models that are not of this library.
FOREIGN: dict[str, Callable[..., Any]] = {
    'PyG-LightGCN': pyg_lightgcn,
    'AlphaRec': AlphaRec.from_data,
}


OBJECTIVES: dict[str, Objective] = {
    'BPR': BPR(),
    'BCE': BCE(),
    'SampledSoftmax-0.1': SampledSoftmax(0.1),
    'SampledSoftmax-0.2': SampledSoftmax(0.2),
    'DirectAU': DirectAU(),
}


class Method(NamedTuple):
    """An alignment method (none for the plain backbone) and what is tuned of
    its own options: the ends of a range, searched on a log scale.
    """

    cls: type[Aligner] | None
    options: dict[str, Any]
    space: dict[str, tuple[float, float]]
    patience: int = 5
    """Evaluations without a better one that end the training."""


PLAIN, OURS, PAPER = 'plain', 'DaRec', 'DaRec-paper'
METHODS = {
    PLAIN: Method(None, {}, {}),
    'RLMRec-Con': Method(
        RLMRecConAlign, {}, {'weight': (1e-3, 1.0), 'temperature': (0.05, 1.0)}
    ),
    'RLMRec-Gen': Method(
        RLMRecGenAlign, {}, {'weight': (1e-2, 10.0), 'temperature': (0.05, 1.0)}
    ),
    'KAR': Method(KARAlign, {}, {'weight': (0.1, 10.0)}),
    'CTRL': Method(
        CTRLAlign,
        {},
        {'weight': (0.1, 10.0), 'temperature': (0.05, 1.0)},
        # After its first stage, recommendations get worse for long.
        patience=60,
    ),
    'ControlRec': Method(
        ControlRecAlign, {}, {'weight': (1e-3, 1.0), 'temperature': (0.05, 1.0)}
    ),
    PAPER: Method(
        DaRecAlign,
        {'preset': 'paper'},
        {'weight': (0.01, 1.0), 'num_clusters': (2, 16)},
    ),
    OURS: Method(
        DaRecAlign,
        {},
        {'profile_weight': (0.03, 3.0), 'neighbor_weight': (0.1, 10.0)},
    ),
}


def default_value(method: str, name: str) -> Any:
    """The default of an option; that of the preset where it sets it."""
    cls, options = METHODS[method][:2]
    assert cls is not None
    value = inspect.signature(cls).parameters[name].default
    if value is not None:
        return value
    aligner = cls(LightGCN(1, 1, 1), 1, **options)
    has_it = hasattr(aligner, name)
    return getattr(aligner if has_it else aligner.injection, name)


@dataclass(frozen=True)
class Run:
    """All that the outcome of a training depends on, beside the data."""

    dataset: str
    backbone: str
    method: str
    seed: int = 0
    dim: int = 32
    epochs: int = 300
    batch_size: int = 4096
    eval_every: int = 3
    min_steps: int = 1000
    lr: float = 2e-3
    precision: str | None = None
    objective: str | None = None
    """Where it is not that of the backbone."""
    backbone_options: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Of backbone and method, where they are not their defaults."""
    num_trials: int = 0
    """The budget that these settings were tuned with."""

    @property
    def folder(self) -> Path:
        return Path(self.dataset, self.backbone, self.method)


class Result(NamedTuple):
    """A finished run: what it came to, and the metrics of each test user."""

    info: dict[str, Any]
    user: Tensor
    per_user: dict[str, Tensor]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    add = parser.add_argument
    add('--output', type=Path, required=True)
    add('--seeds', type=int, nargs='+', default=[0, 1, 2, 3, 4])
    add('--dim', type=int, default=Run.dim)
    add('--num-layers', type=int, help='of the backbone')
    add('--epochs', type=int, default=Run.epochs)
    add('--batch-size', type=int, default=Run.batch_size)
    add('--min-steps', type=int, default=Run.min_steps, help='before a stop')
    add('--lr', type=float, default=Run.lr)
    add('--precision', help="such as 'bf16-mixed'")
    add('--objective', choices=OBJECTIVES, help="default: the backbone's own")
    add('--threads', type=int, help='of PyTorch')
    add('--device', default='auto')


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that every run has in common."""
    names = ['dim', 'epochs', 'batch_size', 'min_steps', 'lr']
    names += ['precision', 'objective']
    found = {name: getattr(args, name) for name in names}
    if args.num_layers is not None:
        found['backbone_options'] = {'num_layers': args.num_layers}
    return found


def backbone_name(name: str) -> str:
    return name if name in FOREIGN else resolve(name).__name__


def make_backbone(
    name: str, graph: BipartiteGraph, dim: int, **options: Any
) -> Any:
    make = FOREIGN.get(name) or resolve(name).from_data
    return make(graph, dim, **options)


def train(
    run: Run,
    graph: BipartiteGraph,
    device: str = 'auto',
    folder: Path | None = None,
) -> tuple[nn.Module, FitResult]:
    torch.manual_seed(run.seed)
    model: nn.Module = make_backbone(
        run.backbone, graph, run.dim, **run.backbone_options
    )
    method = METHODS[run.method]
    if method.cls is not None:
        llm_dim = graph.llm_x['item'].size(1)
        model = method.cls(model, llm_dim, **method.options | run.options)
    if run.objective is not None:
        model = as_recommender(model)
        model.objective = OBJECTIVES[run.objective]
    trained = fit(
        model,
        graph,
        epochs=run.epochs,
        batch_size=run.batch_size,
        lr=run.lr,
        eval_every=run.eval_every,
        patience=method.patience,
        min_steps=run.min_steps,
        seed=run.seed,
        device=device,
        precision=run.precision,
        run_dir=folder,
        resume=folder is not None,
        progress=sys.stderr.isatty(),
    )
    return model, trained


@lru_cache(maxsize=1)  # not once a run; no more graphs are held than needed
def hash_data(graph: BipartiteGraph) -> str:
    """Of what is trained, validated and tested on."""
    digest = hashlib.sha256(fingerprint(graph).encode())
    if 'test' in graph.edge_label_index:
        tested = graph.edge_label_index['test'].unique(dim=1)
        digest.update(tested.cpu().numpy().tobytes())
    return digest.hexdigest()


def record(run: Run, graph: BipartiteGraph) -> dict[str, Any]:
    """All that its outcome depends on."""
    method = METHODS[run.method]
    make = FOREIGN.get(run.backbone) or resolve(run.backbone)
    defaults = [inspect.signature(f) for f in (make, method.cls) if f]
    return asdict(run) | {
        'patience': method.patience,
        'method_options': method.options,
        'defaults': [str(signature) for signature in defaults],
        'version': __version__,
        'data': hash_data(graph),
    }


def perform(
    run: Run, graph: BipartiteGraph, folder: Path, device: str = 'auto'
) -> Result:
    """Trains and tests once, or reads what an earlier call came to."""
    made_with = record(run, graph)
    done = folder / 'result.json'
    if done.exists():
        result = read(folder)
        check_settings(folder, result.info['run'], made_with)
        return result
    begun = begin(folder, made_with)
    print(f'{run.folder}, seed {run.seed} {run.options or ""}', flush=True)
    model, trained = train(run, graph, device, folder)
    tested = evaluate_per_user(model, graph, 'test', ks=(20,))
    tensors = {name: tested.per_user[name] for name in METRICS}
    with atomic_write(folder / 'users.safetensors') as part:
        save_file({'user': tested.user, **tensors}, part)
    info = {
        'run': made_with,
        'best epoch': trained.best_epoch,
        'epochs': len(trained.history),
        'seconds': sum(row['seconds'] for row in trained.history),
        'validation': trained.best_metrics[str(trained.monitor)],
        'machine': machine(),
        **tested.mean(),
    }
    write_json(done, info)
    begun.unlink()
    (folder / 'checkpoint.safetensors').unlink(missing_ok=True)
    return read(folder)


def begin(folder: Path, made_with: dict[str, Any]) -> Path:
    """The file that says what a run is made with until it has ended: 'fit'
    would go on with more epochs, or fewer.
    """
    path = folder / 'run.json'
    if path.exists():
        check_settings(folder, json.loads(path.read_text()), made_with)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, made_with)
    return path


def read(folder: Path) -> Result:
    tensors = load_file(folder / 'users.safetensors')
    user = tensors.pop('user')
    info = json.loads((folder / 'result.json').read_text())
    return Result(info, user, tensors)


def check_settings(
    path: Path, known: dict[str, Any], wanted: dict[str, Any]
) -> None:
    names = known.keys() | wanted.keys()
    other = {k for k in names if known.get(k) != wanted.get(k)}
    if other:
        raise ValueError(
            f"'{path}' was made with other settings; choose another "
            f"'--output', or delete it (got another {sorted(other)})"
        )


def write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=1))
