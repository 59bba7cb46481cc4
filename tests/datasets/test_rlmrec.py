import hashlib
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import scipy.sparse
import torch

import pyg_darec.datasets.rlmrec as rlmrec
from pyg_darec.datasets import AmazonBook, Steam, Yelp
from pyg_darec.datasets.rlmrec import RLMRecDataset
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.io import DownloadError
from pyg_darec.io import download as fetch

NUM_USERS, NUM_ITEMS = 6, 5
MATRICES = ('trn_mat.pkl', 'val_mat.pkl', 'tst_mat.pkl')
FOLDERS = {Yelp: 'yelp', AmazonBook: 'amazon', Steam: 'steam'}


def make_files(seed=0):
    rng = np.random.default_rng(seed)
    files = {}
    for name in MATRICES:
        dense = rng.random((NUM_USERS, NUM_ITEMS)) < 0.4
        files[name] = scipy.sparse.coo_matrix(dense.astype(float))
    for side, size in (('usr', NUM_USERS), ('itm', NUM_ITEMS)):
        files[f'{side}_emb_np.pkl'] = rng.normal(size=(size, 8))
        files[f'{side}_prf.pkl'] = {
            n: {'profile': f'{side} {n}', 'reasoning': 'unused'}
            for n in reversed(range(size))
        }
    return files


FILES = make_files()


def write(root, files):
    (root / 'raw').mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        if not isinstance(content, bytes):
            content = pickle.dumps(content)
        (root / 'raw' / name).write_bytes(content)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / 'published' / 'data.zip'
    path.parent.mkdir()
    with zipfile.ZipFile(path, 'w') as file:
        for n, folder in enumerate(FOLDERS.values()):
            for name, content in make_files(seed=n).items():
                file.writestr(f'data/{folder}/{name}', pickle.dumps(content))
            file.writestr(f'data/{folder}/unused.pkl', b'')
    return path


@pytest.fixture
def downloads(archive, monkeypatch):
    """Serves the archive; the list of what was asked for."""
    asked = []

    def download(url, path, sha256):
        asked.append((url, sha256))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        return fetch(archive.as_uri(), path, digest)

    monkeypatch.setattr(rlmrec, 'download', download)
    return asked


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def download(*args):
        raise DownloadError(f'a test started a download of {args}')

    monkeypatch.setattr(rlmrec, 'download', download)


def check_matrices(data, files):
    keys = 'edge_index', 'val_edge_label_index', 'test_edge_label_index'
    for key, name in zip(keys, MATRICES, strict=True):
        expected = np.stack(np.nonzero(files[name].toarray()))
        assert data[EDGE_TYPE][key].dtype == torch.long
        assert data[EDGE_TYPE][key].tolist() == expected.tolist()
    assert data['user'].num_nodes == NUM_USERS
    assert data['item'].num_nodes == NUM_ITEMS


def check_profiles(data, files):
    sides = {'user': ('usr', NUM_USERS), 'item': ('itm', NUM_ITEMS)}
    for node_type, (side, size) in sides.items():
        x = torch.from_numpy(files[f'{side}_emb_np.pkl']).float()
        assert torch.equal(data[node_type].llm_x, x)
        expected = [f'{side} {n}' for n in range(size)]
        assert data[node_type].profile == expected


@pytest.mark.parametrize('cls', [RLMRecDataset, AmazonBook, Steam])
def test_matrices_alone(tmp_path, cls):
    write(tmp_path, {name: FILES[name] for name in MATRICES})
    dataset = cls(str(tmp_path))
    assert len(dataset) == 1
    assert repr(dataset) == f'{cls.__name__}()'
    check_matrices(dataset[0], FILES)
    assert set(dataset[0]['user'].keys()) == {'num_nodes'}
    dataset[0].validate()


def test_everything(tmp_path):
    write(tmp_path, FILES)
    dataset = Steam(tmp_path)
    for data in (dataset[0], Steam(tmp_path)[0]):  # made, then from the cache
        check_matrices(data, FILES)
        check_profiles(data, FILES)


def test_cache_follows_the_files(tmp_path):
    write(tmp_path, {name: FILES[name] for name in MATRICES})
    assert 'llm_x' not in Steam(tmp_path)[0]['user']
    write(tmp_path, FILES)
    check_profiles(Steam(tmp_path)[0], FILES)
    other = make_files(seed=7)
    write(tmp_path, other)
    check_matrices(Steam(tmp_path)[0], other)
    (tmp_path / 'raw' / 'usr_emb_np.pkl').unlink()
    assert 'llm_x' not in Steam(tmp_path)[0]['user']
    assert len(list((tmp_path / 'processed').glob('data_*.pt'))) == 1


def test_cache_is_used(tmp_path, monkeypatch):
    write(tmp_path, FILES)
    Steam(tmp_path)
    monkeypatch.delattr(rlmrec, 'load_restricted_pickle')
    check_matrices(Steam(tmp_path)[0], FILES)
    with pytest.raises(NameError):
        Steam(tmp_path, force_reload=True)


def test_failed_processing_leaves_no_cache(tmp_path):
    write(tmp_path, FILES)

    def fail(data):
        raise RuntimeError('full disk')

    with pytest.raises(RuntimeError, match='full disk'):
        Steam(tmp_path, pre_transform=fail)
    assert list((tmp_path / 'processed').glob('*data*')) == []


def test_transforms(tmp_path):
    write(tmp_path, FILES)

    def mark(name):
        def transform(data):
            data[name] = data.get(name, 0) + 1
            return data

        return transform

    dataset = Steam(
        tmp_path, transform=mark('each'), pre_transform=mark('once')
    )
    for _ in range(2):
        assert (dataset[0]['each'], dataset[0]['once']) == (1, 1)


@pytest.mark.parametrize('cls', FOLDERS)
def test_download(tmp_path, downloads, cls):
    seed = list(FOLDERS).index(cls)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the stand-ins are not published
        data = cls(tmp_path)[0]
    check_matrices(data, make_files(seed))
    check_profiles(data, make_files(seed))
    assert downloads == [(rlmrec.URL, rlmrec.SHA256)]
    assert sorted(os.listdir(tmp_path / 'raw')) == sorted(FILES)


def test_profiles_are_added_to_own_matrices(tmp_path, downloads):
    own = make_files(seed=9)
    write(tmp_path, {name: own[name] for name in MATRICES})
    with pytest.warns(UserWarning, match='another split than the published'):
        data = Steam(tmp_path, profiles=True)[0]
    check_matrices(data, own)
    check_profiles(data, make_files(seed=2))
    Steam(tmp_path, profiles=True)
    assert len(downloads) == 1


@pytest.mark.parametrize('has_archive', [True, False])
def test_two_splits_are_not_mixed(tmp_path, archive, has_archive):
    write(tmp_path, {'trn_mat.pkl': FILES['trn_mat.pkl']})
    if has_archive:
        write(tmp_path, {'data.zip': archive.read_bytes()})
    before = sorted(os.listdir(tmp_path / 'raw'))
    match = r"add \['val_mat.pkl', 'tst_mat.pkl'\], or remove \['trn_mat.pkl'"
    with pytest.raises(ValueError, match=match):
        Steam(tmp_path)
    assert sorted(os.listdir(tmp_path / 'raw')) == before


@pytest.mark.filterwarnings('error')
def test_unpacking_that_was_cut_off_goes_on(tmp_path, archive):
    published = make_files(seed=2)
    write(tmp_path, {'data.zip': archive.read_bytes()})
    write(tmp_path, {'trn_mat.pkl': published['trn_mat.pkl']})
    data = Steam(tmp_path)[0]
    check_matrices(data, published)
    check_profiles(data, published)


def test_published_matrix_is_known_without_the_archive(
    tmp_path, downloads, monkeypatch
):
    published = make_files(seed=2)
    digest = hashlib.sha256(pickle.dumps(published['trn_mat.pkl'])).hexdigest()
    monkeypatch.setattr(Steam, 'sha256', {'trn_mat.pkl': digest})
    write(tmp_path, {'trn_mat.pkl': published['trn_mat.pkl']})
    check_matrices(Steam(tmp_path)[0], published)
    assert len(downloads) == 1


def test_own_archive_is_used_and_stays(tmp_path, archive):
    write(tmp_path, {'data.zip': archive.read_bytes()})
    check_matrices(Steam(tmp_path)[0], make_files(seed=2))
    assert (tmp_path / 'raw' / 'data.zip').exists()


def test_failed_download(tmp_path):
    with pytest.raises(DownloadError):
        Steam(tmp_path)
    assert os.listdir(tmp_path / 'raw') == []


def test_published_files_are_known(tmp_path):
    write(tmp_path, FILES)
    with pytest.warns(UserWarning, match='not the published file') as record:
        Yelp(tmp_path)
    assert len(record) == len(FILES)  # a warning each, and no error


def test_stored_zeros_and_duplicates(tmp_path):
    row, col, value = [2, 0, 0, 1], [1, 4, 4, 0], [1.0, 1.0, 1.0, 0.0]
    shape = NUM_USERS, NUM_ITEMS
    train = scipy.sparse.coo_matrix((value, (row, col)), shape)
    write(tmp_path, {**FILES, 'trn_mat.pkl': train})
    edge_index = Steam(tmp_path)[0][EDGE_TYPE].edge_index
    assert edge_index.tolist() == [[0, 2], [4, 1]]


class Evil:
    def __reduce__(self):
        return os.mkdir, ('evil',)


NAN = np.full((NUM_USERS, 8), np.nan)
EMPTY = scipy.sparse.coo_matrix((NUM_USERS, NUM_ITEMS))


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('trn_mat.pkl', Evil(), 'mkdir'),
        ('trn_mat.pkl', b'<html>', 'fetch it again'),
        ('trn_mat.pkl', pickle.dumps(EMPTY)[:-9], 'fetch it again'),
        ('trn_mat.pkl', np.eye(5), 'user-item matrix'),
        ('trn_mat.pkl', EMPTY, 'nothing to train on'),
        ('val_mat.pkl', scipy.sparse.eye(9).tocoo(), r"'val_mat.pkl': \(9, 9"),
        ('usr_emb_np.pkl', NAN, 'NaN or Inf in 6 rows.*row 0'),
        ('usr_emb_np.pkl', np.inf * NAN, 'NaN or Inf'),
        ('usr_emb_np.pkl', np.ones((5, 8)), r'6 nodes.*\(5, 8\)'),
        ('usr_emb_np.pkl', np.ones(6), r'6 nodes.*\(6,\)'),
        ('usr_emb_np.pkl', np.ones((6, 8), dtype=int), 'float.*int64'),
        ('usr_emb_np.pkl', [[1.0], [1.0, 2.0]], 'float.*list'),
        ('itm_prf.pkl', {0: {'profile': 'a'}}, '5 ids.*id 1'),
        ('itm_prf.pkl', {n: {'text': 'a'} for n in range(5)}, 'id 0'),
        ('itm_prf.pkl', dict.fromkeys(range(5), 'a'), 'id 0'),
        ('itm_prf.pkl', [1, 2], 'id 0'),
    ],
)
def test_bad_files(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {**FILES, name: content})
    with pytest.raises(ValueError, match=message) as info:
        Steam(tmp_path)
    assert name in str(info.value)
    assert not (tmp_path / 'evil').exists()
