import os
import shutil
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.datasets.cached_dataset import CachedDataset


class Toy(CachedDataset):
    made = 0

    def __init__(self, root, source):
        self.source = source
        super().__init__(str(root), log=False)
        self.load_cached()

    @property
    def source_paths(self):
        return [self.source]

    def make_data(self):
        Toy.made += 1
        data = HeteroData()
        data['user'].x = torch.tensor([float(self.source.read_text())])
        return data


def test_made_again_only_when_a_source_changes(tmp_path):
    source = tmp_path / 'source.txt'
    for time, (text, made) in enumerate([('1', 1), ('1', 1), ('2', 2)]):
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
            os.utime(source, (time, time))
        assert Toy(tmp_path, source)[0]['user'].x.item() == float(text)
        assert Toy.made == made
    files = os.listdir(tmp_path / 'processed')
    assert len([f for f in files if f.startswith('data_')]) == 1


def test_interrupted_cache_is_not_loaded(tmp_path, monkeypatch):
    source = tmp_path / 'source.txt'
    source.write_text('3')

    def cut_off(dataset, data_list, path):
        with open(path, 'wb') as file:
            file.write(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(Toy, 'save', cut_off)
    with pytest.raises(KeyboardInterrupt):
        Toy(tmp_path, source)
    monkeypatch.undo()
    assert Toy(tmp_path, source)[0]['user'].x.item() == 3


@pytest.mark.parametrize('content', [b'', b'xx', b'PK\x03\x04 not a zip'])
def test_damaged_cache_is_made_again(tmp_path, content):
    source = tmp_path / 'source.txt'
    source.write_text('4')
    path = Toy(tmp_path, source).processed_paths[0]
    with open(path, 'wb') as file:
        file.write(content)
    with pytest.warns(UserWarning, match='is damaged and is made again'):
        assert Toy(tmp_path, source)[0]['user'].x.item() == 4
    assert Toy(tmp_path, source)[0]['user'].x.item() == 4


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        # PyTorch never takes those of 'os', whoever calls it.
        return shutil.copy, (__file__, str(self.path))


@pytest.mark.parametrize('name', ['data', 'pre_transform.pt', 'pre_filter.pt'])
def test_no_code_of_a_cache_is_run(tmp_path, recwarn, name):
    source = tmp_path / 'source.txt'
    source.write_text('5')
    path = Path(Toy(tmp_path, source).processed_paths[0])
    path = path if name == 'data' else path.with_name(name)
    torch.save(Evil(tmp_path / 'evil'), path)
    assert Toy(tmp_path, source)[0]['user'].x.item() == 5
    assert not (tmp_path / 'evil').exists()
    has_warned = any('is made again' in str(w.message) for w in recwarn)
    assert has_warned == (name == 'data')


def test_the_pre_transform_is_still_compared(tmp_path):
    source = tmp_path / 'source.txt'
    source.write_text('6')
    Toy(tmp_path, source)
    path = tmp_path / 'processed' / 'pre_transform.pt'
    torch.save('another', path)
    with pytest.warns(UserWarning, match='`pre_transform` argument differs'):
        Toy(tmp_path, source)
