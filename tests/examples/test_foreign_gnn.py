import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'examples' / 'foreign_gnn.py'


@pytest.mark.parametrize('gnn', ['GraphSAGE', 'GAT', 'LightGCN', 'hetero'])
def test_runs(gnn: str, tmp_path: Path) -> None:
    args = ['--gnn', gnn, '--epochs', '1', '--batch-size', '60000']
    subprocess.run(
        [sys.executable, SCRIPT, *args, '--device', 'cpu'],
        check=True,
        timeout=280,
        cwd=tmp_path,
    )
    rows = json.loads((tmp_path / f'runs/foreign/{gnn}.json').read_text())
    assert list(rows) == ['plain', '+ RLMRec-Con', '+ DaRec']
    assert all(0 < row['Recall@20'] < 1 for row in rows.values())
