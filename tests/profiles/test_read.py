import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from pyg_darec.profiles import read_embeddings

X = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = np.array([7, 3, 9, 1])
NAMES = ['b', 'ä', 'c', 'a']


def write_npy(path, x=X):
    np.save(path, x)


def write_npz(path, x=X, **more):
    np.savez(path, x=x, **more)


def write_safetensors(path, x=X, **more):
    save_file({'x': x, **more}, path)


def write_pickle(path, x=X):
    path.write_bytes(pickle.dumps(x))


def write_parquet(path, x=X, **more):
    pd.DataFrame({'x': list(x), **more}).to_parquet(path)


WRITERS = {
    '.npy': write_npy,
    '.npz': write_npz,
    '.safetensors': write_safetensors,
    '.pkl': write_pickle,
    '.parquet': write_parquet,
}
WITH_IDS = ('.npz', '.safetensors', '.parquet')


@pytest.mark.parametrize('suffix', WRITERS)
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_matrix_alone(tmp_path, suffix, dtype):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, X.astype(dtype))
    out = read_embeddings(str(path))
    assert torch.equal(out.x, torch.from_numpy(X))
    assert out.x.dtype == torch.float32
    assert out.ids is None


@pytest.mark.parametrize('suffix', WITH_IDS)
@pytest.mark.parametrize('name', ['id', 'ids', 'user_id'])
def test_ids(tmp_path, suffix, name):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, **{name: IDS})
    column = 'user_id' if name == 'user_id' else None
    out = read_embeddings(path, column)
    assert out.ids == IDS.tolist()
    assert torch.equal(out.x, torch.from_numpy(X))


@pytest.mark.parametrize('suffix', ['.npz', '.parquet'])
def test_text_ids(tmp_path, suffix):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, id=np.array(NAMES))
    assert read_embeddings(path).ids == NAMES


@pytest.mark.parametrize('suffix', WITH_IDS)
def test_named_matrix_beside_others(tmp_path, suffix):
    path = tmp_path / f'usr{suffix}'
    if suffix == '.parquet':
        frame = pd.DataFrame({'id': IDS, 'title': NAMES, 'emb': list(X)})
        frame.to_parquet(path)
    else:
        WRITERS[suffix](path, np.zeros((4, 2)), id=IDS, emb=X)
    assert torch.equal(read_embeddings(path).x, torch.from_numpy(X))


def test_parquet_with_a_column_per_dimension(tmp_path):
    frame = pd.DataFrame(X, columns=['d0', 'd1', 'd2'])
    frame.to_parquet(tmp_path / 'usr.parquet')
    out = read_embeddings(tmp_path / 'usr.parquet')
    assert torch.equal(out.x, torch.from_numpy(X))
    frame.assign(user=IDS).to_parquet(tmp_path / 'usr.parquet')
    out = read_embeddings(tmp_path / 'usr.parquet', 'user')
    assert torch.equal(out.x, torch.from_numpy(X))
    assert out.ids == IDS.tolist()


def test_parquet_column_that_may_be_ids(tmp_path):
    path = tmp_path / 'usr.parquet'
    pd.DataFrame(X, columns=list('012')).assign(who=IDS).to_parquet(path)
    match = r"Column 'who' of .*usr.parquet.*'id_column' \(got dtype int64\)"
    with pytest.raises(ValueError, match=match):
        read_embeddings(path)


@pytest.mark.parametrize('x', [X, {'x': list(X)}])
def test_parquet_of_a_table_whose_rows_were_moved(tmp_path, x):
    path = tmp_path / 'usr.parquet'
    order = [2, 0, 3, 1]
    frame = pd.DataFrame(x).rename(columns=str).assign(user=IDS)
    frame.iloc[order].to_parquet(path)
    out = read_embeddings(path, 'user')
    assert torch.equal(out.x, torch.from_numpy(X[order]))
    assert out.ids == IDS[order].tolist()


def test_parquet_index_that_may_be_ids(tmp_path):
    path = tmp_path / 'usr.parquet'
    pd.DataFrame(X, IDS.astype(float), list('012')).to_parquet(path)
    with pytest.raises(ValueError, match=r"Column '__index_level_0__'.* ids"):
        read_embeddings(path)
    out = read_embeddings(path, '__index_level_0__')
    assert torch.equal(out.x, torch.from_numpy(X))


@pytest.mark.parametrize('suffix', WITH_IDS)
def test_other_array_that_may_be_ids(tmp_path, suffix):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, who=IDS)
    match = r"needs one matrix.*'id_column' \(got \['who', 'x'\]\)"
    with pytest.raises(ValueError, match=match):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', WRITERS)
def test_missing_id_column(tmp_path, suffix):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path)
    with pytest.raises(ValueError, match=r"usr.*ids, 'user_id'.*\(got \["):
        read_embeddings(path, 'user_id')


def test_two_columns_of_ids(tmp_path):
    path = tmp_path / 'usr.npz'
    write_npz(path, id=IDS, ids=IDS)
    with pytest.raises(ValueError, match=r"say which with 'id_column' \(got"):
        read_embeddings(path)


def test_ids_in_a_matrix(tmp_path):
    path = tmp_path / 'usr.npz'
    write_npz(path, id=IDS.reshape(2, 2))
    with pytest.raises(ValueError, match=r"'id' of .*\(got shape \(2, 2\)\)"):
        read_embeddings(path)


def test_more_embeddings_than_ids(tmp_path):
    path = tmp_path / 'usr.npz'
    write_npz(path, id=IDS[:3])
    with pytest.raises(ValueError, match=r'\(got 3 ids and 4 embeddings\)'):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', WITH_IDS)
def test_nan_is_reported_with_its_id(tmp_path, suffix):
    path, x = tmp_path / f'usr{suffix}', X.copy()
    x[2, 1] = np.nan
    WRITERS[suffix](path, x, id=IDS)
    with pytest.raises(ValueError, match=rf'usr{suffix}.* at row 2 \(9\)'):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', WRITERS)
@pytest.mark.parametrize('dtype', ['int64', 'bool'])
def test_wrong_dtype(tmp_path, suffix, dtype):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, X.astype(dtype))
    with pytest.raises(ValueError, match=r'usr.*floating-point.*\(got dtype'):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', ['.npy', '.npz', '.pkl'])
@pytest.mark.parametrize('dtype', ['U8', 'complex64'])
def test_wrong_dtype_of_arrays(tmp_path, suffix, dtype):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, X.astype(dtype))
    with pytest.raises(ValueError, match=r'usr.*\(got '):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', ['.npy', '.npz'])
def test_pickled_objects_are_refused(tmp_path, suffix):
    path = tmp_path / f'usr{suffix}'
    rows = np.empty(2, dtype=object)
    rows[:] = [[1.0], [1.0, 2.0]]
    WRITERS[suffix](path, rows)
    with pytest.raises(ValueError, match='allow_pickle=False'):
        read_embeddings(path)


def test_malicious_pickle_is_refused(tmp_path):
    path = tmp_path / 'usr.pkl'

    class Evil:
        def __reduce__(self):
            return (path.unlink, ())

    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r'usr\.pkl'):
        read_embeddings(path)
    assert path.exists()


def test_pickle_of_profiles_is_no_matrix(tmp_path):
    path = tmp_path / 'usr_prf.pkl'
    path.write_bytes(pickle.dumps({0: {'profile': 'likes tea'}}))
    with pytest.raises(ValueError, match=r"usr_prf.pkl.*\(got 'dict'\)"):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', WRITERS)
@pytest.mark.parametrize('shape', [(4,), (4, 0)])
def test_wrong_shape(tmp_path, suffix, shape):
    path = tmp_path / f'usr{suffix}'
    if suffix == '.parquet' and shape == (4,):
        return  # one column of numbers is a matrix of width 1
    WRITERS[suffix](path, np.ones(shape, dtype=np.float32))
    with pytest.raises(ValueError, match=r'usr.* needs shape .*\(got \('):
        read_embeddings(path)


@pytest.mark.parametrize('last', [[1.0], None])
def test_ragged_parquet(tmp_path, last):
    path = tmp_path / 'usr.parquet'
    rows = [[1.0, 2.0], [3.0, 4.0], last]
    pd.DataFrame({'id': list('abc'), 'x': rows}).to_parquet(path)
    with pytest.raises(ValueError, match=r"ragged at row 2 \('c'\)"):
        read_embeddings(path)


def test_missing_ids_in_parquet_stay_missing(tmp_path):
    path = tmp_path / 'usr.parquet'
    ids = pd.array([7, None, 9, 1], dtype='Int64')
    pd.DataFrame({'id': ids, 'x': list(X)}).to_parquet(path)
    assert read_embeddings(path).ids == [7, None, 9, 1]


@pytest.mark.parametrize('suffix', WRITERS)
@pytest.mark.parametrize('keep', [0, 10, 0.5, 0.95])
def test_truncated_file(tmp_path, suffix, keep):
    path = tmp_path / f'usr{suffix}'
    WRITERS[suffix](path, np.ones((200, 30)))
    content = path.read_bytes()
    size = keep if isinstance(keep, int) else int(len(content) * keep)
    path.write_bytes(content[:size])
    with pytest.raises(ValueError, match=rf'usr\{suffix}.*not a complete'):
        read_embeddings(path)


@pytest.mark.parametrize('suffix', WRITERS)
def test_no_such_file(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=rf'usr\{suffix}.*check the'):
        read_embeddings(tmp_path / f'usr{suffix}')


def test_unknown_format(tmp_path):
    with pytest.raises(ValueError, match=r"'encoder' \(got suffix '.csv'\)"):
        read_embeddings(tmp_path / 'usr.csv')


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = tmp_path / 'usr.parquet'
    write_parquet(path)
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(ImportError, match='pip install pyarrow'):
        read_embeddings(path)
