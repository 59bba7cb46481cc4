import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_darec.train import FitResult
from pyg_darec.visualize import plot_curves, plot_parts

QUICK = {'early_exaggeration_iter': 30, 'n_iter': 30}
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


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that would have been saved."""
    from matplotlib.figure import Figure

    out: list[Any] = []
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, path, dpi: out.append(self)
    )
    return out


def test_draws_every_run(figures: list[Any]) -> None:
    plot_curves(HISTORIES, 'unused')
    loss, metric = figures[0].axes
    assert [line.get_label() for line in loss.lines] == list(HISTORIES)
    curve, best = metric.lines  # the other run has no validation
    assert curve.get_xydata().tolist() == [[2, 0.1], [3, 0.05]]
    assert best.get_xydata().tolist() == [[2, 0.1]]
    results = {
        name: FitResult(history, monitor=None)
        for name, history in HISTORIES.items()
    }
    plot_curves(results, 'unused')
    again = figures[1].axes[1].lines
    assert again[0].get_xydata().tolist() == curve.get_xydata().tolist()


def test_no_panel_is_blank(figures: list[Any]) -> None:
    only = 'without validation'
    plot_curves({only: HISTORIES[only]}, 'unused')
    assert [axis.get_ylabel() for axis in figures[0].axes] == ['training loss']
    with pytest.raises(ValueError, match=r"\['Recall@20'\] \(got 'NDCG@20'\)"):
        plot_curves(HISTORIES, 'unused', metric='NDCG@20')


@pytest.mark.parametrize('library', ['matplotlib.figure', 'openTSNE'])
def test_without_a_library(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    message = f"{library.split('.')[0]}; run 'pip install {library[:10]}"
    with pytest.raises(ImportError, match=f"'plot_parts' needs {message}"):
        plot_parts(make_parts())
    if library != 'openTSNE':
        with pytest.raises(ImportError, match=f"'plot_curves' needs {message}"):
            plot_curves({}, 'x.png')


def make_parts(num_nodes: int = 120) -> dict[str, Tensor]:
    """Four parts of nodes of three kinds: the shared ones know the kind, and
    are alike up to a rotation.
    """
    generator = torch.Generator().manual_seed(0)

    def noise(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    kind = 9 * torch.eye(3, 6)[torch.arange(num_nodes) % 3]
    shared = kind + noise(num_nodes, 6)
    rotation = torch.linalg.qr(noise(6, 6))[0]
    return {
        'collaborative, specific': noise(num_nodes, 6),
        'collaborative, shared': shared,
        'LLM, specific': noise(num_nodes, 6),
        'LLM, shared': shared @ rotation,
    }


def points(figure: Any, panel: int = 0) -> dict[str, Tensor]:
    return {
        dots.get_label(): torch.tensor(dots.get_offsets().tolist())
        for dots in figure.axes[panel].collections
    }


def test_parts_that_know_the_kind_form_groups(tmp_path: Path) -> None:
    parts = make_parts()
    figure = plot_parts(parts, title='Four parts', **QUICK)
    figure.savefig(tmp_path / 'parts.png')
    assert (tmp_path / 'parts.png').read_bytes().startswith(b'\x89PNG')
    assert len(figure.axes) == 1
    drawn = points(figure)
    assert list(drawn) == list(parts)
    # The sample is in random order; groups show in the nearest neighbours.
    generator = torch.Generator().manual_seed(0)
    kind = torch.randperm(120, generator=generator) % 3
    for name, xy in drawn.items():
        assert xy.shape == (120, 2)
        near = torch.cdist(xy, xy).fill_diagonal_(torch.inf).argmin(dim=1)
        share = (kind[near] == kind).float().mean()
        assert share > 0.95 if 'shared' in name else share < 0.6


def test_colours_by_centre() -> None:
    figure = plot_parts(
        make_parts(), cluster_by='LLM, shared', num_clusters=3, **QUICK
    )
    by_part, by_centre = points(figure), points(figure, 1)
    assert list(by_centre) == [f'centre {i} of LLM, shared' for i in (1, 2, 3)]
    # Each of the three kinds has 40 nodes, each drawn four times.
    assert [len(xy) for xy in by_centre.values()] == [160] * 3
    both = [torch.cat(list(x.values())).tolist() for x in (by_part, by_centre)]
    assert sorted(both[0]) == sorted(both[1])
    # All four points of a node have one colour.
    first = {tuple(xy) for xy in next(iter(by_centre.values())).tolist()}
    colored = [
        [tuple(xy) in first for xy in part.tolist()]
        for part in by_part.values()
    ]
    assert colored[0] == colored[1] == colored[2] == colored[3]


def test_sample() -> None:
    parts = make_parts()
    drawn = points(plot_parts(parts, num_samples=20, **QUICK))
    assert [len(xy) for xy in drawn.values()] == [20] * 4
    drawn = points(plot_parts(parts, num_samples=None, **QUICK))
    assert [len(xy) for xy in drawn.values()] == [120] * 4


def test_same_seed_same_figure() -> None:
    state = torch.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        figure = plot_parts(
            make_parts(),
            num_samples=50,
            cluster_by='LLM, shared',
            seed=seed,
            **QUICK,
        )
        drawn.append([points(figure, i) for i in (0, 1)])
        assert torch.get_rng_state().equal(state)
        torch.rand(1)
        state = torch.get_rng_state()
    for i in (0, 1):
        assert str(drawn[0][i]) == str(drawn[1][i])
        assert str(drawn[0][i]) != str(drawn[2][i])


def test_length_does_not_matter() -> None:
    parts = make_parts(30)
    figure = plot_parts(parts, **QUICK)
    scaled = {name: 8 * x.requires_grad_() for name, x in parts.items()}
    again = points(plot_parts(scaled, **QUICK))
    for name, xy in points(figure).items():
        torch.testing.assert_close(again[name], xy)


@pytest.mark.filterwarnings('error')
def test_collapsed_parts() -> None:
    """A part that is one point, and nothing but such parts."""
    parts = make_parts(40)
    parts['LLM, shared'] = torch.ones(40, 6)
    for chosen in (parts, {'LLM, shared': parts['LLM, shared']}):
        figure = plot_parts(chosen, cluster_by='LLM, shared', **QUICK)
        for panel in (0, 1):
            for xy in points(figure, panel).values():
                assert xy.isfinite().all()


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('size', [(2, 3), (3, 1)])
def test_few_nodes_and_narrow_parts(size: tuple[int, int]) -> None:
    drawn = points(plot_parts({'a': torch.randn(size)}, **QUICK))
    assert drawn['a'].shape == (size[0], 2)
    assert drawn['a'].isfinite().all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'LLM, shared': torch.ones(120)}, r"'LLM, shared' needs .*\(120,\)"),
        ({'b': torch.ones(120, 6).long()}, r"'b' needs .*\(got torch.int64"),
        ({'b': torch.ones(119, 6)}, r"\(120, 6\), got 'b' of .*\(119, 6\)"),
        ({'b': torch.ones(120, 7)}, r'one width; .*on their own'),
        ({'b': torch.full((120, 6), torch.nan)}, r"'b' is not finite \(got"),
    ],
)
def test_wrong_parts(change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_parts({**make_parts(), **change})


def test_too_few() -> None:
    with pytest.raises(ValueError, match=r'at least one rep.*\(got \{\}\)'):
        plot_parts({})
    for size in (1, 9):
        with pytest.raises(ValueError, match=r'at least two points \(got 1\)'):
            plot_parts({'a': torch.ones(size, 4)}, num_samples=1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'cluster_by': 'x'}, r"'cluster_by' needs .*'LLM, .*\(got 'x'\)"),
        ({'num_samples': 0}, r"'num_samples' .*\(got 0\)"),
        ({'num_clusters': 0}, r"'num_clusters' .*\(got 0\)"),
        (
            {'num_samples': 3, 'cluster_by': 'LLM, shared'},
            r"'num_clusters' .* number of nodes, 3 \(got 4\)",
        ),
        ({'seed': None}, r"'seed' needs .*\(got None\)"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_parts(make_parts(), **options)


def test_names_are_shown_as_they_are(
    tmp_path: Path, figures: list[Any]
) -> None:
    """Neither formulas nor hidden."""
    runs = dict.fromkeys(('runs/a$b^$', '_u'), HISTORIES['one'])
    plot_curves(runs, 'unused', title='$b^$')
    texts = [x.get_text() for x in figures[0].axes[0].get_legend().get_texts()]
    assert texts == [r'runs/a\$b^\$', ' _u']
    figures[0].canvas.draw()  # where formulas are read
