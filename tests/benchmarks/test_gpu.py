import json
import sys
from pathlib import Path

import gpu
import pytest

SMALL = {'edges': 400, 'nodes': 120, 'dim': 4, 'llm_dim': 8, 'batch': 64}


def test_runs_without_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gpu, 'SIZES', {'small': SMALL})
    monkeypatch.setattr(gpu, 'MODELS', {'small': ['LightGCN', 'DaRecAlign']})
    monkeypatch.setattr(gpu, 'rates', lambda _: dict.fromkeys(RATES, 1e9))
    path = tmp_path / 'gpu.json'
    words = ['--output', str(path), '--device', 'cpu', '--edges', '500']
    monkeypatch.setattr(sys, 'argv', ['gpu.py', *words])
    gpu.main()
    results = json.loads(path.read_text())['results']
    assert [r['point']['model'] for r in results] == ['LightGCN', 'DaRecAlign']
    assert all(r['point']['edges'] == 500 for r in results)
    assert all(x > 0 for r in results for x in r['figures'].values())
    table = path.with_suffix('.md').read_text()
    assert table in capsys.readouterr().out
    assert '| small, 500 edges | DaRecAlign | ' in table


RATES = 'copy_bytes_per_second', 'float32_flops', 'bfloat16_flops'


def test_shares_of_bandwidth() -> None:
    """100 propagations a second of 3 layers, each moving what is counted."""
    figures = dict.fromkeys(
        ('step', 'propagate', 'evaluate', 'sample', 'first', 'peak_mib'), 0.01
    )
    point = {**SMALL, 'model': 'LightGCN'}
    once = 3 * (4 * (4 * 400 + 122) + 2 * 4 * 120 * 4)
    assert ' | 50% / ' in gpu.row('small', point, figures, 100 * 2 * once)


def test_says_what_failed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gpu, 'SIZES', {'small': SMALL})
    monkeypatch.setattr(gpu, 'MODELS', {'small': ['LightGCN']})
    monkeypatch.setattr(gpu, 'rates', lambda _: dict.fromkeys(RATES, 1e9))
    words = ['--output', str(tmp_path / 'gpu.json'), '--device', 'cpu']
    words += ['--edges', '1000000']
    monkeypatch.setattr(sys, 'argv', ['gpu.py', *words])
    gpu.main()
    out = capsys.readouterr().out
    assert 'small, LightGCN: ended with 1: 1000000 edges are too many' in out
