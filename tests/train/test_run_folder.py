import pytest

from pyg_darec.train.run_folder import (
    load_run,
    read_config,
    read_metrics,
    record_metrics,
    start_run,
)

CONFIG = {
    'data': 'shop',
    'backbone': 'lightgcn',
    'aligner': 'none',
    'dim': 8,
    'backbone_options': None,
    'aligner_options': None,
    'seed': 0,
}


def test_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start_run('run', CONFIG)
    assert read_config('run') == {**CONFIG, 'data': str(tmp_path / 'shop')}
    with pytest.raises(ValueError, match='holds an earlier run'):
        start_run('run', CONFIG)


def test_what_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no run'):
        read_config(tmp_path)
    for text in ('[1', 'dim: 8', '- a'):
        (tmp_path / 'config.yaml').write_text(text)
        with pytest.raises(ValueError, match=r'config\.yaml'):
            read_config(tmp_path)


def test_run_without_weights(tmp_path):
    start_run(tmp_path / 'run', CONFIG)
    with pytest.raises(FileNotFoundError, match='has not ended'):
        load_run(tmp_path / 'run')


def test_metrics(tmp_path):
    assert read_metrics(tmp_path) == {}
    record_metrics(tmp_path, {'val': {'Recall@5': 0.5}})
    record_metrics(tmp_path, {'test': {'Recall@5': 0.25}})
    assert set(read_metrics(tmp_path)) == {'val', 'test'}
    (tmp_path / 'metrics.json').write_text('{')
    with pytest.raises(ValueError, match=r'metrics\.json'):
        read_metrics(tmp_path)
