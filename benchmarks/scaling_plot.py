"""The figure of ``scaling.py``."""

from pathlib import Path
from typing import Any


def plot(results: list[dict[str, Any]], models: list[str], path: Path) -> None:
    """Seconds of a step above, peak memory below, one column an axis."""
    import matplotlib

    matplotlib.use('agg')
    from matplotlib import pyplot

    axes = list(dict.fromkeys(row['axis'] for row in results))
    figure, panels = pyplot.subplots(
        2,
        len(axes),
        figsize=(3 * len(axes), 5.5),
        squeeze=False,
        sharey='row',
        layout='constrained',
    )
    rows = (('step', 'seconds a step'), ('peak_mib', 'peak of a step, MiB'))
    for column, axis in enumerate(axes):
        for panel, (what, name) in zip(panels[:, column], rows, strict=True):
            for model in models:
                found = sorted(
                    (row['point'][axis], row['figures'][what])
                    for row in results
                    if row['axis'] == axis
                    and row['point']['model'] == model
                    and what in row['figures']
                )
                if found:
                    sizes, values = zip(*found, strict=True)
                    panel.loglog(sizes, values, marker='o', label=model)
            panel.set_xlabel(axis)
            panel.grid(alpha=0.3)
            if column == 0:
                panel.set_ylabel(name)
    panels[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
