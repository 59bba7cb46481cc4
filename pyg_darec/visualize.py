"""Figures; needs the extra ``[viz]``."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from pyg_darec.checks import as_seed, check_count, describe, is_dense
from pyg_darec.nn.functional import kmeans

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyg_darec.train import FitResult

History: TypeAlias = Sequence[Mapping[str, float]]


def plot_curves(
    histories: Mapping[str, 'FitResult | History'],
    path: str | os.PathLike[str],
    metric: str = 'Recall@20',
    title: str = '',
) -> None:
    r"""Draws the training loss and a validation metric of several runs over
    epochs, the best epoch of each marked. Without any validation, it draws
    the loss alone.

    Args:
        histories (dict): The :class:`~pyg_darec.train.FitResult` of a run,
            or its :obj:`history`, by the name of the run.
        path (str or os.PathLike): The image to write; its ending says in
            which format.
        metric (str, optional): The metric, as the history calls it.
            (default: :obj:`'Recall@20'`)
        title (str, optional): A title. (default: :obj:`''`)

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If no run has :obj:`metric`, but one has others.
    """
    runs: dict[str, History] = {
        name: run if isinstance(run, Sequence) else run.history
        for name, run in histories.items()
    }
    names = {name for h in runs.values() for row in h for name in row}
    known = sorted(name for name in names if '@' in name)
    if known and metric not in names:
        raise ValueError(
            f"'metric' needs to be one that a run has, of {known} "
            f"(got '{metric}')"
        )
    num_panels = 2 if metric in names else 1
    figure = _make_figure('plot_curves', figsize=(4.5 * num_panels, 3.5))
    figure.suptitle(_plain(title))
    left, *rest = figure.subplots(1, num_panels, squeeze=False)[0]
    for name, history in runs.items():
        epoch = [row['epoch'] for row in history]
        loss = [row['loss'] for row in history]
        (line,) = left.plot(epoch, loss, label=_plain(name))
        points = [
            (row['epoch'], row[metric]) for row in history if metric in row
        ]
        if points:
            best = max(points, key=lambda point: point[1])
            color = line.get_color()
            rest[0].plot(*zip(*points, strict=True), color=color)
            rest[0].plot(*best, 'o', color=color)
    left.set(xlabel='epoch', ylabel='training loss')
    for axis in rest:
        axis.set(xlabel='epoch', ylabel=f'validation {metric}')
    left.legend()
    figure.savefig(path, dpi=150)


def plot_parts(
    parts: Mapping[str, Tensor],
    num_samples: int | None = 500,
    cluster_by: str | None = None,
    num_clusters: int = 4,
    seed: int = 0,
    title: str = '',
    **kwargs: Any,
) -> 'Figure':
    r"""Draws several representations of the same nodes, such as the specific
    and shared parts of :class:`~pyg_darec.nn.align.DaRecAlign`, in one plane
    by t-SNE (`"Visualizing Data using t-SNE"
    <https://www.jmlr.org/papers/v9/vandermaaten08a.html>`_), each in its own
    colour.

    Rows are divided by their length first, because the losses compare
    directions. Shared parts that agree in *structure* need not lie on each
    other: colour the nodes by the clusters of one part, with
    :obj:`cluster_by`, and see whether they form groups in the other.

    .. code-block:: python

        model = DaRecAlign(backbone, llm_dim, preset='paper')
        items = {k: item for k, (user, item) in model.parts(data).items()}
        figure = plot_parts(items, cluster_by='llm_shared')
        figure.savefig('parts.png')

    Args:
        parts (dict): The representations by name; row :obj:`i` of each is
            the same node.
        num_samples (int, optional): The number of nodes to draw, picked at
            random, :obj:`None` for all. (default: :obj:`500`)
        cluster_by (str, optional): The name of a representation. If given, a
            second panel colours every node by its k-means cluster in that
            representation. (default: :obj:`None`)
        num_clusters (int, optional): The number of these clusters, the
            preference centres. (default: :obj:`4`)
        seed (int, optional): The seed of the sample, of k-means and of
            t-SNE: the same figure every time, whatever the global
            generators. (default: :obj:`0`)
        title (str, optional): A title. (default: :obj:`''`)
        **kwargs (optional): Further arguments of :obj:`openTSNE.TSNE`, such
            as :obj:`perplexity` or :obj:`n_jobs`; with more than one job,
            figures of thousands of points may differ in their last digits.

    Shapes:
        - **parts:** :math:`(N, d)` each

    Raises:
        ImportError: If matplotlib or openTSNE are not installed.
        ValueError: If the representations are not matrices of one shape or
            not finite, or if an option is out of range.
    """
    _check_parts(parts, cluster_by)
    check_count(num_samples=num_samples, num_clusters=num_clusters)
    seed = as_seed(seed)
    num_panels = 1 if cluster_by is None else 2
    figure = _make_figure('plot_parts', figsize=(1 + 4.5 * num_panels, 5))
    tsne = _import('openTSNE', 'plot_parts')

    generator = torch.Generator().manual_seed(seed)
    size = next(iter(parts.values())).size(0)
    node = torch.randperm(size, generator=generator)[:num_samples]
    sample = {
        name: torch.nn.functional.normalize(x.detach().cpu().double()[node])
        for name, x in parts.items()
    }
    x = torch.cat(list(sample.values()))
    if x.size(0) < 2:
        raise ValueError(
            "'parts' and 'num_samples' need to leave at least two points "
            f'(got {x.size(0)})'
        )
    if cluster_by is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            cluster = kmeans(sample[cluster_by], num_clusters)
    # openTSNE wants three neighbours per unit of perplexity.
    kwargs.setdefault('perplexity', min(30.0, (x.size(0) - 1) / 3))
    # Points that have all collapsed into one have no principal components.
    is_flat = x.size(1) < 2 or bool((x == x[0]).all())
    kwargs.setdefault('initialization', 'random' if is_flat else 'pca')
    out = tsne.TSNE(random_state=seed, **kwargs).fit(x.numpy())
    point = torch.from_numpy(out.__array__()).view(len(parts), -1, 2)

    figure.suptitle(_plain(title))
    left, *rest = figure.subplots(1, num_panels, squeeze=False)[0]
    for name, xy in zip(parts, point, strict=True):
        left.scatter(*xy.t(), s=6, linewidths=0, label=_plain(name))
    for axis in rest:
        for i in range(num_clusters):
            xy = point[:, cluster == i].flatten(0, 1)
            label = f'centre {i + 1} of {cluster_by}'
            axis.scatter(*xy.t(), s=6, linewidths=0, label=label)
    for axis in (left, *rest):
        axis.set(xticks=[], yticks=[])
        axis.legend(
            loc='upper center', bbox_to_anchor=(0.5, 0), ncols=2, markerscale=3
        )
    return figure


def _check_parts(parts: Mapping[str, Tensor], cluster_by: str | None) -> None:
    if not parts:
        raise ValueError(
            "'parts' needs at least one representation by its name (got {})"
        )
    first = next(iter(parts))
    for name, x in parts.items():
        if not is_dense(x) or x.dim() != 2 or not x.is_floating_point():
            raise ValueError(
                f"Part '{name}' needs to be a floating-point matrix with one "
                f'row per node (got {describe(x)})'
            )
        if x.shape != parts[first].shape:
            raise ValueError(
                'All parts need one row per node and one width; plot those '
                f"of another width on their own ('{first}' has shape "
                f"{tuple(parts[first].shape)}, got '{name}' of shape "
                f'{tuple(x.shape)})'
            )
        if not bool(x.isfinite().all()):
            raise ValueError(f"Part '{name}' is not finite (got NaN or Inf)")
    if cluster_by is not None and cluster_by not in parts:
        raise ValueError(
            f"'cluster_by' needs to be one of {list(parts)} "
            f"(got '{cluster_by}')"
        )


def _make_figure(caller: str, figsize: tuple[float, float]) -> 'Figure':
    # The object interface draws without a screen and changes no global state
    # of pyplot.
    module = _import('matplotlib.figure', caller)
    figure: Figure = module.Figure(figsize=figsize, layout='constrained')
    return figure


def _import(module: str, caller: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split('.')[0]
        raise ImportError(
            f"'{caller}' needs {name}; run 'pip install {name}'"
        ) from error


def _plain(name: str) -> str:
    """A label as it is: dollars would make a formula of it, and one that begins
    with an underscore would be hidden.
    """
    return (' ' if name.startswith('_') else '') + name.replace('$', r'\$')
