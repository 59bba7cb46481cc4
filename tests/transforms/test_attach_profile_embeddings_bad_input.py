import numpy as np
import pytest
import torch
from torch_geometric.data import Data, HeteroData

from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms import AttachProfileEmbeddings

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
    else:
        np.savez(path, x=x, **more)
    return path


@pytest.mark.parametrize(
    ('args', 'error', 'match'),
    [
        ({}, ValueError, r"'sources' or 'encoder' .*\(got neither\)"),
        ({'sources': 'usr.npy'}, TypeError, r"'sources' .*\(got 'str'\)"),
        (
            {'encoder': embed, 'dtype': torch.long},
            ValueError,
            r"'dtype' .*\(got torch.int64\)",
        ),
    ],
)
def test_wrong_arguments(args, error, match):
    with pytest.raises(error, match=match):
        AttachProfileEmbeddings(**args)


def attach(data, node_type, source, **kwargs):
    return AttachProfileEmbeddings({node_type: source}, **kwargs)(data)


def test_wrong_number_of_rows(data, tmp_path):
    match = r"tensor of node type 'user' .*\(got 2 rows for 3 nodes\)"
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', ITEM)
    path = write(tmp_path / 'usr.npy', ITEM)
    match = r"usr.npy' of node type 'user' .*\(got 2 rows for 3 nodes\)"
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', path)


@pytest.mark.parametrize(
    ('value', 'match'),
    [
        (USER.log2().sub(float('inf')), 'holds NaN, Inf .* at row 0'),
        (USER.long(), r'floating-point.*\(got dtype torch.int64\)'),
        (USER.to(torch.complex64), r'\(got dtype torch.complex64\)'),
        (USER > 0, r'\(got dtype torch.bool\)'),
        (USER.numpy().astype(object), r'\(got dtype object\)'),
        (USER.numpy().astype(str), r'\(got dtype <U'),
        (USER[0], r'needs shape .*\(got \(4,\)\)'),
        (USER[:, :0], r'needs shape .*\(got \(3, 0\)\)'),
    ],
)
def test_wrong_tensor(data, value, match):
    match = f"The given tensor of node type 'user' .*{match}"
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', value)


@pytest.mark.parametrize('source', [{'a': 1}, [[1.0]], embed, None])
def test_source_of_no_known_kind(data, source):
    with pytest.raises(TypeError, match=r"of node type 'user' .*\(got '"):
        attach(data, 'user', source)


@pytest.mark.parametrize(
    ('ids', 'match'),
    [
        (['u0', 'u1'], r'got 2 ids and 3 embeddings'),
        (['u0', 'u1', 'u7'], r"lacks 1 of 3 nodes, first id 'u2'"),
        (['u0', 'u1', 'u1'], r"id 'u1' twice.*rows 1 and 2"),
        ([0, 1, 2], r"first id 'u0'.*got ids like \[0, 1, 2\]"),
    ],
)
def test_wrong_ids(data, tmp_path, ids, match):
    path = write(tmp_path / 'usr.npz', USER, id=ids)
    match = rf"usr.npz' of node type 'user' .*{match}"
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', path)


def test_extra_id(data, tmp_path):
    path = write(tmp_path / 'itm.npz', USER, id=[10, 20, 30])
    match = r"itm.npz' of node type 'item' has 1 .* first id 30, row 2"
    with pytest.raises(ValueError, match=match):
        attach(data, 'item', path)


def test_nodes_without_ids(data, tmp_path):
    path = write(tmp_path / 'usr.npz', USER, id=['u0', 'u1', 'u2'])
    data['user'].id = ['u0']
    with pytest.raises(ValueError, match=r'\(got 1 ids for 3 nodes\)'):
        attach(data, 'user', path)
    del data['user'].id
    match = r"usr.npz' of node type 'user' .* set data\['user'\].id \(got "
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', path)


def test_different_widths(data):
    transform = AttachProfileEmbeddings({'user': USER, 'item': ITEM[:, :3]})
    match = r"'llm_x' needs one width .*\(got {'user': 4, 'item': 3}\)"
    with pytest.raises(ValueError, match=match):
        transform(data)
    data = attach(data, 'user', USER)
    with pytest.raises(ValueError, match=match):
        attach(data, 'item', ITEM[:, :3])
    assert attach(data, 'user', USER[:, :3])['user'].llm_x.size(1) == 3


def test_damaged_file(data, tmp_path):
    path = tmp_path / 'usr.npy'
    path.write_bytes(b'nothing')
    match = r"usr.npy' of node type 'user' is not a complete and valid .npy"
    with pytest.raises(ValueError, match=match):
        attach(data, 'user', path)


def test_missing_file(data, tmp_path):
    match = r"usr.npy' of node type 'user' does not exist"
    with pytest.raises(FileNotFoundError, match=match):
        attach(data, 'user', tmp_path / 'usr.npy')


def test_unknown_node_type(data):
    match = r"no node type 'users'; .*\(got \['user', 'item'\]\)"
    with pytest.raises(ValueError, match=match):
        attach(data, 'users', USER)


def test_text_that_is_missing(data):
    transform = AttachProfileEmbeddings(encoder=embed)
    data['item'].profile[1] = None
    match = r"'profile' of node type 'item' .* row 1 \(20\).*\(got None\)"
    with pytest.raises(ValueError, match=match):
        transform(data)
    data['item'].profile = ['a']
    with pytest.raises(ValueError, match=r'list of 2 texts.*\(got 1\)'):
        transform(data)
    del data['item'].profile, data['user'].profile
    with pytest.raises(ValueError, match=r'set data\[type\].profile \(got'):
        transform(data)


def test_encoder_output_names_the_node(data):
    transform = AttachProfileEmbeddings(encoder=lambda texts: [[np.nan]] * 3)
    match = r"'profile' of node type 'user' holds NaN.* row 0 \('u0'\)"
    with pytest.raises(ValueError, match=match):
        transform(data)


def test_not_a_hetero_data():
    with pytest.raises(TypeError, match=r"HeteroData.*\(got 'Data'\)"):
        AttachProfileEmbeddings(encoder=embed)(Data())
