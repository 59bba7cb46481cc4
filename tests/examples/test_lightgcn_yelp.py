import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.sparse

SCRIPT = Path(__file__).parents[2] / 'examples' / 'lightgcn_yelp.py'


@pytest.fixture(scope='module')
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location('lightgcn_yelp', SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_falls_back_to_the_bundled_data(tmp_path: Path) -> None:
    """Yelp cannot be had: downloads go to a port where nobody listens."""
    root = tmp_path / 'yelp'
    env = {**os.environ, 'https_proxy': 'http://127.0.0.1:9'}
    out = subprocess.run(
        [
            sys.executable,
            SCRIPT,
            '--dataset',
            'yelp',
            '--root',
            root,
            '--epochs',
            '1',
            '--batch-size',
            '60000',
            '--device',
            'cpu',
            '--output',
            tmp_path / 'out',
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
        env=env,
        cwd=tmp_path,
    ).stdout
    said = [line for line in out.splitlines() if 'instead' in line]
    assert len(said) == 1
    assert said[0].startswith('yelp: the data is neither in')
    assert "running the bundled 'online-retail' instead." in said[0]
    rows = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert list(rows) == ['LightGCN', '+ RLMRec-Con', '+ DaRec']
    table = (tmp_path / 'out' / 'results.md').read_text()
    assert table.splitlines()[0].startswith('| online-retail')
    assert table in out
    for row in rows.values():
        assert 0 < row['Recall@20'] < 1
        assert f'{row["NDCG@10"]:.4f}' in table
    assert (tmp_path / 'out' / 'curves.png').stat().st_size > 10_000


def test_table(script: ModuleType) -> None:
    columns = [f'{m}@{k}' for m in ('Recall', 'NDCG') for k in (5, 10, 20)]
    row = dict.fromkeys(columns, 0.12345)
    row |= {'best_epoch': 6, 'seconds': 7.4}
    table = script.make_table('some data', {'LightGCN': row})
    head, rule, line = table.splitlines()
    assert [cell.strip() for cell in head.strip('|').split('|')] == [
        'some data',
        *columns,
        'best epoch',
        'seconds',
    ]
    assert line.count('0.1235') + line.count('0.1234') == 6
    assert len(head) == len(rule) == len(line)


def test_uses_the_embeddings_that_are_there(
    script: ModuleType, tmp_path: Path
) -> None:
    raw = tmp_path / 'raw'
    raw.mkdir()
    pairs = {'trn': [[0, 1, 2], [0, 1, 3]], 'val': [[0], [1]]}
    for split in ('trn', 'val', 'tst'):
        row, col = pairs.get(split, [[1], [2]])
        matrix = scipy.sparse.coo_matrix(
            (np.ones(len(row)), (row, col)), shape=(3, 4)
        )
        (raw / f'{split}_mat.pkl').write_bytes(pickle.dumps(matrix))
    for kind, num in (('usr', 3), ('itm', 4)):
        content = pickle.dumps(np.ones((num, 5)))
        (raw / f'{kind}_emb_np.pkl').write_bytes(content)
    name, data = script.load('steam', tmp_path)
    assert name == 'steam'
    assert data['user'].llm_x.shape == (3, 5)
