"""The figure of ``scaling.py``."""

from pathlib import Path
from typing import Any


def plot(results: list[dict[str, Any]], models: list[str], path: Path) -> None:
    """Seconds of a step above, of the first one, which prepares what is needed
    once, below that, peak memory at the bottom, one column an axis.
    """
    import matplotlib

    matplotlib.use('agg')
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    axes = list(dict.fromkeys(row['axis'] for row in results))
    figure, panels = pyplot.subplots(
        3,
        len(axes),
        figsize=(3 * len(axes), 8),
        squeeze=False,
        sharey='row',
        layout='constrained',
    )
    rounded = EngFormatter(places=0, sep='')

    def compact(size: float, _: int) -> str:
        return f'{size:.0f}' if size < 10_000 else rounded(size)

    rows = (
        ('step', 'seconds a step'),
        ('first', 'seconds of the first step'),
        ('peak_mib', 'peak of a step, MiB'),
    )
    for column, axis in enumerate(axes):
        shown = [
            row
            for row in results
            if row['axis'] == axis and 'step' in row['figures']
        ]
        for panel, (what, name) in zip(panels[:, column], rows, strict=True):
            for n, model in enumerate(models):
                found = sorted(
                    (row['point'][axis], row['figures'][what])
                    for row in shown
                    if row['point']['model'] == model
                )
                if found:
                    sizes, values = zip(*found, strict=True)
                    panel.loglog(
                        sizes, values, f'C{n}', marker='o', label=model
                    )
            # Marks at decades would be too few of them, or too many.
            panel.set_xticks(sorted({row['point'][axis] for row in shown}))
            panel.minorticks_off()
            panel.xaxis.set_major_formatter(compact)
            panel.tick_params(axis='x', labelrotation=45)
            panel.set_xlabel(axis)
            panel.grid(alpha=0.3)
            if column == 0:
                panel.set_ylabel(name)
    panels[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
