import builtins
from pathlib import Path

import pytest

from pyg_darec.visualize import plot_curves

HISTORIES = {
    'one': [
        {'epoch': 1, 'loss': 0.5},
        {'epoch': 2, 'loss': 0.4, 'Recall@20': 0.1},
        {'epoch': 3, 'loss': 0.3, 'Recall@20': 0.05},
    ],
    'without validation': [{'epoch': 1, 'loss': 0.5}],
}


@pytest.mark.parametrize('suffix', ['.png', '.svg'])
def test_writes_an_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'curves{suffix}'
    plot_curves(HISTORIES, path, title='Some runs')
    head = path.read_bytes()[:100]
    assert head.startswith(b'\x89PNG' if suffix == '.png' else b'<?xml')


def test_draws_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, path, dpi: figures.append(self)
    )
    plot_curves(HISTORIES, 'unused')
    loss, metric = figures[0].axes
    assert [line.get_label() for line in loss.lines] == list(HISTORIES)
    curve, best = metric.lines  # the other run has no validation
    assert curve.get_xydata().tolist() == [[2, 0.1], [3, 0.05]]
    assert best.get_xydata().tolist() == [[2, 0.1]]


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *args: object) -> object:
        if name.startswith('matplotlib'):
            raise ImportError(name)
        return real(name, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, '__import__', fake)
    with pytest.raises(ImportError, match=r'pip install pyg-darec\[viz\]'):
        plot_curves({}, 'x.png')
