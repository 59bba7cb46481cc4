"""Figures; needs the extra ``[viz]``."""

import os
from collections.abc import Mapping, Sequence


def plot_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    path: str | os.PathLike[str],
    metric: str = 'Recall@20',
    title: str = '',
) -> None:
    r"""Draws the training loss and a validation metric of several runs over
    epochs, the best epoch of each marked.

    Args:
        histories (dict): The :obj:`history` of a
            :class:`~pyg_darec.train.FitResult` by the name of its run.
        path (str or os.PathLike): The image to write; its ending says in
            which format.
        metric (str, optional): The metric, as the history calls it.
            (default: :obj:`'Recall@20'`)
        title (str, optional): A title. (default: :obj:`''`)

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        # The object interface draws without a screen and changes no global
        # state of pyplot.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "'plot_curves' needs matplotlib: pip install pyg-darec[viz]"
        ) from error

    figure = Figure(figsize=(9, 3.5), layout='constrained')
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    for name, history in histories.items():
        epoch = [row['epoch'] for row in history]
        (line,) = left.plot(epoch, [row['loss'] for row in history], label=name)
        points = [
            (row['epoch'], row[metric]) for row in history if metric in row
        ]
        if points:
            best = max(points, key=lambda point: point[1])
            color = line.get_color()
            right.plot(*zip(*points, strict=True), color=color)
            right.plot(*best, 'o', color=color)
    left.set(xlabel='epoch', ylabel='training loss')
    right.set(xlabel='epoch', ylabel=f'validation {metric}')
    left.legend()
    figure.savefig(path, dpi=150)
