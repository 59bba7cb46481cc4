from pathlib import Path

import accuracy_runs
import data_sets
import pytest
import sensitivity
from accuracy_runs import OURS, PAPER
from conformance.graphs import random_data
from sensitivity import AXES, main, points

from pyg_darec import fit


def test_every_axis_goes_through_the_default() -> None:
    axes = [axis for options in AXES.values() for axis in options]
    through = [axis for _, axis, _, name in points(axes) if name == 'default']
    assert through == axes


def test_runs_and_resumes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_training: object,
) -> None:
    data = random_data(num_users=30, num_items=60, num_edges=400)
    monkeypatch.setattr(data_sets, 'OnlineRetail', lambda root: [data])
    axes = {
        PAPER: {'num_samples': [4096, None]},
        OURS: {'profile_weight': [0.0, 0.3], 'rank': [64]},
    }
    monkeypatch.setattr(sensitivity, 'AXES', axes)
    words = ['--output', str(tmp_path), '--epochs', '1', '--seeds', '0', '1']
    words += ['--dim', '4']
    main(words)
    folder = tmp_path / 'online_retail' / 'LightGCN'
    assert {p.parent.name for p in folder.glob(f'{OURS}/*/seed-0')} == {
        'default',
        'profile_weight=0.0',
    }
    table = (tmp_path / 'table.md').read_text()
    assert table in capsys.readouterr().out
    assert f'| {PAPER} | num_samples | all | 2 | 0.' in table
    assert len(table.splitlines()) == 2 + 1 + 5
    figure = tmp_path / 'online_retail-LightGCN.png'
    assert figure.stat().st_size > 10_000

    monkeypatch.setattr(accuracy_runs, 'fit', no_training)
    main(words)
    assert (tmp_path / 'table.md').read_text() == table
    monkeypatch.setattr(accuracy_runs, 'fit', fit)
    with pytest.raises(ValueError, match='other settings'):
        main([*words, '--seeds', '2', '--lr', '0.1'])
