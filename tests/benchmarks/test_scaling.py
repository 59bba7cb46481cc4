import json
import sys
from pathlib import Path

import pytest
import torch
from scaling import (
    QUICK_MIDDLE,
    TIMES,
    exponent,
    exponents,
    key_of,
    main,
    measure,
    points_of,
)
from scaling_point import needed_mib, random_pairs
from timing import machine

POINT = {
    'model': 'LightGCN',
    'edges': 2**18,
    'nodes': 2**18,
    'dim': 4,
    'llm_dim': 8,
    'batch': 2**16,
    'threads': 1,
}


def test_runs_and_resumes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One of two points was measured by a call before this one."""
    figures = dict.fromkeys([*TIMES, 'first_peak_mib', 'peak_mib'], 0.125)
    point = {**QUICK_MIDDLE, 'model': 'DaRecAlign', 'threads': 1}
    known = tmp_path / 'points' / f'{key_of(point)}.json'
    known.parent.mkdir()
    known.write_text(json.dumps({**figures, 'machine': 'another'}))
    words = ['--quick', '--output', str(tmp_path), '--threads', '1']
    words += ['--models', 'DaRecAlign', '--axes', 'llm_dim']
    monkeypatch.setattr(sys, 'argv', ['scaling.py', *words])
    with pytest.raises(SystemExit, match='is from another machine'):
        main()
    known.write_text(json.dumps({**figures, 'machine': machine()}))
    main()

    results = json.loads((tmp_path / 'scaling.json').read_text())['results']
    assert [row['point']['llm_dim'] for row in results] == [16, 32]
    assert results[0]['figures'] == figures
    assert set(results[1]['figures']) == set(figures)
    assert all(0 < x != 0.125 for x in results[1]['figures'].values())
    assert len(list(tmp_path.glob('points/*'))) == 2
    table = (tmp_path / 'scaling.md').read_text()
    assert table in capsys.readouterr().out
    assert '| llm_dim | DaRecAlign | a training step |' in table
    assert (tmp_path / 'scaling.png').stat().st_size > 10_000


def test_exponents() -> None:
    sizes = [1.0, 10.0, 100.0, 1000.0]
    assert exponent(sizes, [3 * s**1.5 for s in sizes]) == pytest.approx(1.5)
    # A constant that matters for small sizes only.
    whole, upper = exponents(sizes, [100 + s for s in sizes])
    assert whole is not None
    assert upper is not None
    assert whole < 0.4 < 0.7 < upper < 1
    assert exponents([1.0], [1.0]) == [None, None]


def test_one_axis_at_a_time() -> None:
    middle = {'edges': 5, 'nodes': 6}
    axes = {'edges': [1, 5], 'llm_dim': [7]}
    found = points_of(axes, middle, ['LightGCN', 'DaRecAlign'])
    assert [(axis, p['model'], p['edges']) for axis, p in found] == [
        ('edges', 'LightGCN', 1),
        ('edges', 'LightGCN', 5),
        ('edges', 'DaRecAlign', 1),
        ('edges', 'DaRecAlign', 5),
        ('llm_dim', 'DaRecAlign', 5),
    ]


def test_needed_memory() -> None:
    """By hand: a table of 2^18 x 4 floats is 4 MiB, one number an edge or a
    node 1 MiB.
    """
    assert needed_mib(POINT) == {
        'parameters': 4,
        'adam': 8,
        'graph': 8 + 1,
        'samples': 8,
        'profiles': 0,
        # Gradients, the input and three layers, three embeddings a pair.
        'activations': 4 + 4 * 4 + 3,
    }
    paper = needed_mib({**POINT, 'model': 'DaRecAlign paper'})
    assert paper['profiles'] == 8
    assert paper['parameters'] > 4
    injected = needed_mib({**POINT, 'model': 'DaRecAlign'})
    # Eight components, and 11 neighbours of four bytes of index and value.
    assert injected['profiles'] == 8 + 8 + 22
    assert injected['activations'] > 4 + 5 * 4 + 3


def test_pairs_are_distinct_and_as_many_as_asked_for() -> None:
    pairs = random_pairs({**POINT, 'edges': 900, 'nodes': 100})
    assert pairs.shape == (2, 900)
    assert pairs.unique(dim=1).shape == (2, 900)
    # The first half of the items has more than half of the pairs.
    assert int((pairs[1] < 25).sum()) > 500
    assert torch.bincount(pairs[0], minlength=50).min() > 0


def test_what_does_not_fit_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(POINT, timeout=1, max_gib=0.01) == {
        'missing': 'needs 0.1 GiB or more'
    }
    assert measure(POINT, timeout=0.01, max_gib=1) == {
        'missing': 'took longer than 0 s'
    }
    monkeypatch.setattr('scaling.HERE', tmp_path)
    (tmp_path / 'scaling_point.py').write_text('raise SystemExit("no room")')
    assert measure(POINT, timeout=60, max_gib=1) == {
        'missing': 'ended with 1: no room'
    }
    with pytest.raises(SystemExit, match='are too many for 10'):
        random_pairs({**POINT, 'nodes': 10})
