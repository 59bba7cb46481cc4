import csv
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / 'examples' / 'own_data.py'


def test_prints_names_offline(tmp_path: Path) -> None:
    out = subprocess.run(
        [sys.executable, SCRIPT, '--epochs', '1', '--output', 'out'],
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
        cwd=tmp_path,
        env={**os.environ, 'https_proxy': 'http://127.0.0.1:9'},
    ).stdout
    assert 'without a language model' in out
    with (tmp_path / 'out/products.csv').open(encoding='utf-8') as file:
        titles = {row['title'] for row in csv.DictReader(file)}
    lines = [line for line in out.splitlines() if line.startswith('  ')]
    assert len(lines) == 15
    for line in lines:
        assert line.split('. ', 1)[1] in titles
