"""The figure of ``scaling.py``, and the series in it."""

from pathlib import Path
from typing import Any


def series(
    results: list[dict[str, Any]], axis: str, model: str, what: str
) -> tuple[list[float], list[float]]:
    """Sizes along an axis, ascending, and what was measured at each."""
    rows = sorted(
        (row['point'][axis], row['figures'][what])
        for row in results
        if row['axis'] == axis
        and row['point']['model'] == model
        and what in row['figures']
    )
    return [float(x) for x, _ in rows], [y for _, y in rows]


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
        for panel, (what, name) in zip(panels[:, column], rows, strict=True):
            marks: set[float] = set()
            for n, model in enumerate(models):
                sizes, values = series(results, axis, model, what)
                if sizes:
                    panel.loglog(
                        sizes, values, f'C{n}', marker='o', label=model
                    )
                    marks.update(sizes)
            # Marks at decades would be too few of them, or too many.
            panel.set_xticks(sorted(marks))
            panel.minorticks_off()
            panel.xaxis.set_major_formatter(compact)
            panel.tick_params(axis='x', labelrotation=45)
            panel.set_xlabel(axis)
            panel.grid(alpha=0.3)
            if column == 0:
                panel.set_ylabel(name)
    # Of all panels: not every model is in every one.
    handles = {
        label: handle
        for panel in panels.flat
        for handle, label in zip(
            *panel.get_legend_handles_labels(), strict=True
        )
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc='outside upper center',
        ncols=len(models),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
