import json

import pytest
import torch
from conformance.runs import CONFIG
from torch_geometric.data import HeteroData

from pyg_darec.datasets.folder import save_data
from pyg_darec.nn.build import build_model
from pyg_darec.train.run_folder import (
    check_data,
    load_run,
    read_config,
    read_metrics,
    record_metrics,
    start_run,
)
from pyg_darec.train.weights import save_model

KEY = 'user', 'rates', 'item'


def make_data():
    data = HeteroData()
    for node_type, size in (('user', 3), ('item', 4)):
        data[node_type].num_nodes = size
        data[node_type].id = [f'{node_type} {n}' for n in range(size)]
        data[node_type].llm_x = torch.arange(2.0 * size).view(size, 2)
    data[KEY].edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    data[KEY].val_edge_label_index = torch.tensor([[0, 1], [1, 2]])
    data[KEY].test_edge_label_index = torch.tensor([[0, 1], [2, 3]])
    return data


def test_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start_run('run', {**CONFIG, 'dim': 4}, make_data())
    # Nothing was trained yet.
    start_run('run', CONFIG, make_data())
    assert read_config('run') == {**CONFIG, 'data': str(tmp_path / 'shop')}


@pytest.mark.parametrize('name', ['checkpoint', 'model'])
def test_a_run_is_not_replaced(name, tmp_path):
    (tmp_path / f'{name}.safetensors').touch()
    with pytest.raises(ValueError, match=f"earlier run; .*a '{name}"):
        start_run(tmp_path, CONFIG, make_data())
    assert not (tmp_path / 'config.yaml').exists()


OTHER = {
    'train': (KEY, 'edge_index', 'interactions'),
    'val': (KEY, 'val_edge_label_index', 'interactions'),
    'test': (KEY, 'test_edge_label_index', 'interactions'),
    'user': ('user', 'id', 'ids'),
    'item': ('item', 'id', 'ids'),
    'llm_x': ('item', 'llm_x', 'profile embeddings'),
}


@pytest.mark.parametrize('case', OTHER)
def test_other_data(case, tmp_path):
    start_run(tmp_path, {**CONFIG, 'aligner': 'darec'}, make_data())
    check_data(tmp_path, make_data(), 'shop')
    data, (key, attr, part) = make_data(), OTHER[case]
    value = data[key][attr]
    # As many, of the same values.
    data[key][attr] = value[::-1] if attr == 'id' else value.flip(0)
    if key == KEY:
        data[key][attr] = torch.stack([value[0], value[1].flip(0)])
    with pytest.raises(ValueError, match=f"'shop' needs to hold the {part}"):
        check_data(tmp_path, data, 'shop')


def test_embeddings_are_no_part_of_a_backbone(tmp_path):
    start_run(tmp_path, CONFIG, make_data())
    data = make_data()
    del data['item'].llm_x
    check_data(tmp_path, data, 'shop')


def test_load_run_checks_data(tmp_path):
    run, shop = tmp_path / 'run', tmp_path / 'shop'
    data = make_data()
    save_data(data, shop)
    start_run(run, {**CONFIG, 'data': shop}, data)
    save_model(build_model(data, 'lightgcn', dim=8), run / 'model.safetensors')
    load_run(run)
    save_data(data, tmp_path / 'copy')
    data['item'].id.reverse()
    save_data(data, shop)
    with pytest.raises(ValueError, match=f"'{shop}' needs to hold the ids"):
        load_run(run)
    load_run(run, tmp_path / 'copy')
    (run / 'data.json').write_text('[')
    with pytest.raises(ValueError, match=r'data\.json. is damaged; remove it'):
        load_run(run)
    (run / 'data.json').unlink()  # as in runs of earlier versions
    load_run(run)


def test_what_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no run'):
        read_config(tmp_path)
    for text in ('[1', 'dim: 8', '- a'):
        (tmp_path / 'config.yaml').write_text(text)
        with pytest.raises(ValueError, match=r'config\.yaml'):
            read_config(tmp_path)


def test_run_without_weights(tmp_path):
    start_run(tmp_path / 'run', CONFIG, make_data())
    with pytest.raises(FileNotFoundError, match='has not ended'):
        load_run(tmp_path / 'run')


def test_metrics(tmp_path):
    assert read_metrics(tmp_path) == {}
    record_metrics(tmp_path, {'val': {'Recall@5': 0.5}})
    record_metrics(tmp_path, {'test': {'Recall@5': 0.25}})
    record_metrics(tmp_path, {'val': {'Recall@3': 0.125}})
    assert read_metrics(tmp_path) == {
        'val': {'Recall@5': 0.5, 'Recall@3': 0.125},
        'test': {'Recall@5': 0.25},
    }


@pytest.mark.parametrize(
    'content', ['{', [], 7, {'val': 0.5}, {'val': {'Recall@5': 'x'}}]
)
def test_damaged_metrics(content, tmp_path):
    text = content if content == '{' else json.dumps(content)
    (tmp_path / 'metrics.json').write_text(text)
    with pytest.raises(ValueError, match=r'metrics\.json. is damaged; remove'):
        read_metrics(tmp_path)
