import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.io.folder import json_digest
from pyg_darec.profiles import EmbeddingStore, encode_profiles

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
IDS = [f'id {n}' if n % 3 else n for n in range(30)]
FILES = ['manifest.json', 'ids.jsonl', 'journal.log', 'embeddings.npy']


def write(folder):
    rows = iter(X)
    encode_profiles(
        (f'text {n}' for n in range(30)),
        folder,
        lambda texts: [next(rows) for _ in texts],
        IDS,
        batch_size=7,
        encoder_key='rows',
    )


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('store')
    write(folder)
    return folder


@pytest.fixture
def store(tmp_path):
    write(tmp_path)
    return EmbeddingStore(tmp_path)


def test_round_trip(store):
    assert len(store) == 30
    assert store.dim == 3
    assert store.ids == IDS
    assert np.array_equal(store.tensor().numpy(), X)


def test_lazy_tensor_leaves_the_file_alone(store):
    x = store.tensor(lazy=True)
    assert np.array_equal(x.numpy(), X)
    x.zero_()
    assert np.array_equal(store.tensor().numpy(), X)


def test_lazy_tensor_shares_the_memory_of_the_file(store):
    x = store.tensor(lazy=True)
    with (store.folder / 'embeddings.npy').open('r+b') as file:
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(7).tobytes())
    assert x[-1, -1] == 7


@given(
    name=st.sampled_from(FILES),
    cut=st.booleans(),
    place=st.floats(0, 1, exclude_max=True),
    flip=st.integers(1, 255),
)
def test_damage_is_never_read(folder, name, cut, place, flip):
    path = folder / name
    whole = path.read_bytes()
    at = int(place * len(whole))
    flipped = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    path.write_bytes(whole[:at] if cut else flipped)
    try:
        with pytest.raises((ValueError, FileNotFoundError)) as info:
            EmbeddingStore(folder).verify()
        assert name in str(info.value)
    finally:
        path.write_bytes(whole)
    EmbeddingStore(folder).verify()


@pytest.mark.parametrize(
    'junk', ['', 'null', '[]', '{}', '1', '"a"', '[' * 9999]
)
def test_manifest_of_others(store, junk):
    (store.folder / 'manifest.json').write_text(junk)
    with pytest.raises(ValueError, match=r"manifest.json'.*choose another"):
        EmbeddingStore(store.folder)


def test_forged_manifest(store):
    # A right checksum is no reason to trust the numbers.
    path = store.folder / 'manifest.json'
    whole = json.loads(path.read_text())
    del whole['sha256']
    for name, value in (('rows', 29), ('rows', -1), ('dim', 0), ('dtype', 'O')):
        forged = {**whole, name: value}
        forged['sha256'] = json_digest(forged)
        path.write_text(json.dumps(forged))
        with pytest.raises(ValueError, match=r"'.*(npy|manifest.json)'"):
            EmbeddingStore(store.folder)


@pytest.mark.parametrize('name', FILES[1:])
def test_missing_file(store, name):
    (store.folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        EmbeddingStore(store.folder).verify()


def test_without_a_journal_nothing_but_overwriting_helps(store):
    (store.folder / 'journal.log').unlink()
    with pytest.raises(ValueError, match=r'again with .overwrite=True'):
        store.verify()
    rows = iter(X)
    args = [f'text {n}' for n in range(30)], store.folder
    again = {'encoder_key': 'rows', 'overwrite': True}
    encode_profiles(*args, lambda t: [next(rows) for _ in t], IDS, **again)
    store.verify()


def test_unfinished(store):
    (store.folder / 'manifest.json').unlink()
    with pytest.raises(ValueError, match=r'some rows are missing.*got 30 rows'):
        EmbeddingStore(store.folder)


def test_no_store(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no embeddings'):
        EmbeddingStore(tmp_path / 'nothing')


def test_repr(store):
    assert str(store) == (
        f"EmbeddingStore('{store.folder}', rows=30, dim=3, encoder='rows')"
    )
    assert isinstance(store.tensor(), torch.Tensor)
