import builtins
import importlib
import json
import os

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from retrieval.example import RATES, Fixed, countdown, shop
from safetensors.torch import load_file
from torch_geometric.data import HeteroData

from pyg_darec.io.folder import MANIFEST, FolderWriter, read_folder
from pyg_darec.profiles import read_embeddings
from pyg_darec.retrieval import export, faiss_index, masked_topk
from pyg_darec.retrieval.export import FORMAT


def random(
    num: int = 400, dim: int = 16, dtype: torch.dtype = torch.float32
) -> tuple[Fixed, HeteroData]:
    generator = torch.Generator().manual_seed(0)
    user = torch.randn(50, dim, generator=generator).to(dtype)
    item = torch.randn(num, dim, generator=generator).to(dtype)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 50, num
    data['item'].id = [f'P{n}' for n in range(num)]
    data[RATES].edge_index = torch.tensor([[0], [0]])
    return Fixed(user, item), data


def test_safetensors(tmp_path):
    model, data = countdown(), shop()
    out = export(model, data, tmp_path / 'out')
    assert set(out.files) == set(os.listdir(out.folder))
    assert out.recall is None
    x = load_file(out.folder / 'item.safetensors')['embedding']
    assert x.equal(model.item)
    lines = (out.folder / 'item.id.jsonl').read_text(encoding='utf-8')
    assert lines.splitlines() == ['"a"', '"b"', '"ß"', '"茶"', '"🫖"']
    lines = (out.folder / 'user.id.jsonl').read_text(encoding='utf-8')
    assert lines.splitlines() == ['7', '"seven"', '"8"']  # mixed types


@pytest.mark.parametrize(
    'dtype', [torch.float32, torch.float64, torch.bfloat16]
)
def test_parquet(dtype, tmp_path):
    model, data = random(dtype=dtype)
    export(model, data, tmp_path, format='parquet')
    table = pq.read_table(tmp_path / 'item.parquet')
    assert table['id'].to_pylist() == data['item'].id
    x, ids = read_embeddings(tmp_path / 'item.parquet')  # our own reader
    assert x.equal(model.item.float())
    assert list(ids) == data['item'].id
    users = pq.read_table(tmp_path / 'user.parquet')
    assert users['id'].to_pylist() == list(range(50))


def test_manifest(tmp_path):
    export(*random(), tmp_path, format=['safetensors', 'parquet'], index='Flat')
    content = read_folder(tmp_path, FORMAT)
    assert 'Fixed()' in content['model']
    assert 'num_items=400' in content['data']
    assert content['embeddings']['item'] == {
        'shape': [400, 16],
        'dtype': 'torch.float32',
    }
    assert content['index']['recall'] == 1
    assert content['index']['queries'] == 50
    assert {'user.parquet', 'item.safetensors', 'item.faiss'} <= set(
        content['files']
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_flat_index_is_exact(dtype, tmp_path):
    model, data = random(dtype=dtype)
    assert export(model, data, tmp_path, index='Flat').recall == 1
    index = faiss.read_index(str(tmp_path / 'item.faiss'))
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT
    score, found = index.search(model.user.float().numpy(), 20)
    exact, top = masked_topk(model.user, model.item, 20)
    assert torch.from_numpy(found).equal(top)
    torch.testing.assert_close(torch.from_numpy(score), exact)


def test_ties_do_not_lower_recall(tmp_path):
    model, data = random(num=60)
    model.item = model.item[:3].repeat(20, 1)
    assert export(model, data, tmp_path, index='Flat', k=7).recall == 1


@pytest.mark.parametrize(
    ('index', 'parameters', 'better'),
    [('IVF20,Flat', None, 'nprobe=20'), ('HNSW4', None, 'efSearch=200')],
)
def test_recall_of_an_inexact_index(index, parameters, better, tmp_path):
    model, data = random(2000)
    low = export(
        model, data, tmp_path, index=index, index_parameters=parameters
    )
    found = faiss.read_index(str(tmp_path / 'item.faiss')).search(
        model.user.numpy(), 20
    )[1]
    top = masked_topk(model.user, model.item, 20)[1].numpy()
    expected = np.mean(
        [np.isin(f, t).mean() for f, t in zip(found, top, strict=True)]
    )
    assert 0 < low.recall < 1
    assert low.recall == pytest.approx(expected)
    high = export(model, data, tmp_path, index=index, index_parameters=better)
    assert high.recall > low.recall  # stored with the index
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert content['index']['parameters'] == better


def test_a_flat_index_that_is_not_exact(tmp_path, monkeypatch):
    def write_others(index, path):
        index.reset()
        index.add(np.ones((400, 16), dtype=np.float32))
        faiss.write_index(index, str(path))

    # The package has a function of that name.
    module = importlib.import_module('pyg_darec.retrieval.export')
    monkeypatch.setattr(module, 'write_index', write_others)
    with pytest.raises(ValueError, match=r"'Flat' needs to be exact.*\(got"):
        export(*random(), tmp_path / 'out', index='Flat')
    assert not (tmp_path / 'out').exists()


def test_sample_of_users(tmp_path, monkeypatch):
    monkeypatch.setattr(faiss_index, 'NUM_QUERIES', 7)
    export(*random(), tmp_path, index='Flat')
    assert read_folder(tmp_path, FORMAT)['index']['queries'] == 7


def test_replaces_an_earlier_export(tmp_path):
    export(*random(), tmp_path, format='parquet', index='Flat')
    out = export(*random(), tmp_path)
    assert set(out.files) == set(os.listdir(tmp_path))
    assert 'item.faiss' not in out.files


@pytest.mark.parametrize('format', ['csv', ['parquet', 'x'], [3]])
def test_unknown_format(format, tmp_path):
    with pytest.raises(ValueError, match=r"'format' needs .*\(got '"):
        export(*random(), tmp_path / 'out', format=format)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'index': 'Foo'}, r"index='Foo'.* could not parse"),
        ({'index': 'PQ7'}, r"index='PQ7'.*width 16"),
        ({'index': 'IVF900,Flat'}, r"index='IVF900,Flat'.*400 items"),
        (
            {'index': 'Flat', 'index_parameters': 'foo=1'},
            "index_parameters='foo=1'",
        ),
        ({'index_parameters': 'nprobe=1'}, "'index_parameters' needs an"),
        ({'k': 0}, r"'k' .*\(got 0\)"),
    ],
)
def test_bad_options(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export(*random(), tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()


def test_ids_of_mixed_types_fit_no_column(tmp_path):
    match = r"ids of users do not fit.*format='safetensors'.*\(got"
    with pytest.raises(ValueError, match=match):
        export(countdown(), shop(), tmp_path / 'out', format='parquet')
    assert not (tmp_path / 'out').exists()


def test_ids_that_are_no_text_or_number(tmp_path):
    data = shop()
    data['item'].id = [(n, n) for n in range(5)]
    with pytest.raises(TypeError, match=r"'item\.id\.jsonl': .*'tuple'.* 0"):
        export(countdown(), data, tmp_path / 'out')


def test_embeddings_that_are_not_finite(tmp_path):
    model, data = random()
    model.item[7, 3] = torch.nan
    with pytest.raises(ValueError, match=r'item embeddings.*diverged.*row 7'):
        export(model, data, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_folder_of_something_else(tmp_path):
    (tmp_path / 'thesis.doc').write_text('precious')
    with pytest.raises(ValueError, match=r'holds other files.*thesis'):
        export(*random(), tmp_path)
    assert os.listdir(tmp_path) == ['thesis.doc']


@pytest.mark.parametrize(
    'name', ['user.safetensors', 'user.id.jsonl', 'item.parquet', 'item.faiss']
)
def test_full_disk(name, tmp_path, monkeypatch):
    def add(self, file):
        path = real(self, file)
        if file == name:
            path.symlink_to('/dev/full')
        return path

    export(*random(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    real = FolderWriter.add
    monkeypatch.setattr(FolderWriter, 'add', add)
    with pytest.raises(OSError, match='could not be written, and any earlier'):
        export(
            *random(3000),
            tmp_path,
            format=['parquet', 'safetensors'],
            index='Flat',
        )
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ('module', 'extra', 'options'),
    [
        ('faiss', 'faiss-cpu', {'index': 'Flat'}),
        ('pyarrow', 'pyarrow', {'format': 'parquet'}),
    ],
)
def test_without_an_extra(module, extra, options, tmp_path, monkeypatch):
    def missing(name, *args):
        if name == module:
            raise ImportError(name)
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(ImportError, match=f'pip install {extra}'):
        export(*random(), tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()
