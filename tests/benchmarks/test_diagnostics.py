import diagnostics
import pytest
from conformance.graphs import random_data


def test_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = random_data(num_users=30, num_items=60, num_edges=400)
    monkeypatch.setattr(diagnostics, 'OnlineRetail', lambda root: [data])
    diagnostics.main(['--epochs', '4', '--every', '2'])
    out = capsys.readouterr().out.splitlines()
    assert '| paper | 2 | 4 |' in out
    assert '| default | 2 | 4 |' in out
    rows = {line.split('|')[1].strip(): line for line in out if '|' in line}
    assert rows['match/stability'].startswith('| match/stability |  | ')
    assert 'rank/specific' in rows
