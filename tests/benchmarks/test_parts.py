from pathlib import Path

import data_sets
import parts
import pytest
from conformance.graphs import random_data


def test_draws_both_forms(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = random_data(num_users=30, num_items=60, num_edges=400)
    monkeypatch.setattr(data_sets, 'OnlineRetail', lambda root: [data])
    monkeypatch.setattr(parts, 'SAMPLES', 20)
    parts.main(['--output', str(tmp_path), '--epochs', '1', '--dim', '4'])
    paths = [
        tmp_path / f'online_retail-{method}-0.png'
        for method in ('DaRec', 'DaRec-paper')
    ]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    assert all(path.stat().st_size > 10_000 for path in paths)
