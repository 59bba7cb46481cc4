import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.graph import EDGE_TYPE, BipartiteGraph
from pyg_darec.profiles import encode_profiles
from pyg_darec.transforms import AttachProfileEmbeddings, SplitInteractions

TEXTS = ['likes tea', 'likes mugs', 'likes gardens']
EXPECTED = torch.tensor([[9.0, 1.0], [10.0, 1.0], [13.0, 1.0]])


@pytest.fixture
def data():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 2
    data['user'].id = ['u0', 'u1', 'u2']
    data['user'].profile = list(TEXTS)
    data[EDGE_TYPE].edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    return data


def encode(folder, rows=(0, 1, 2), with_ids=True, **kwargs):
    encode_profiles(
        [TEXTS[row] for row in rows],
        folder,
        lambda texts: [[float(len(text)), 1.0] for text in texts],
        [f'u{row}' for row in rows] if with_ids else None,
        encoder_key='length',
        **kwargs,
    )


def attach(data, folder, **kwargs):
    return AttachProfileEmbeddings({'user': folder}, **kwargs)(data)


@pytest.mark.parametrize('rows', [(0, 1, 2), (2, 0, 1)])
def test_by_id(data, tmp_path, rows):
    encode(tmp_path, rows, split=data)
    assert torch.equal(attach(data, tmp_path)['user'].llm_x, EXPECTED)
    assert torch.equal(attach(data, str(tmp_path))['user'].llm_x, EXPECTED)


def test_by_row(data, tmp_path):
    encode(tmp_path, with_ids=False)
    del data['user'].id, data['user'].profile
    assert torch.equal(attach(data, tmp_path)['user'].llm_x, EXPECTED)


def test_lazily(data, tmp_path):
    encode(tmp_path, normalize=True, dtype=torch.float16)
    kwargs = {'normalize': True, 'dtype': torch.float16}
    out = attach(data, tmp_path, lazy=True, **kwargs)['user'].llm_x
    assert torch.equal(out, attach(data, tmp_path, **kwargs)['user'].llm_x)
    with (tmp_path / 'embeddings.npy').open('r+b') as file:
        file.seek(-2, 2)
        file.write(b'\0\0')
    assert out[-1, -1] == 0  # it is the file


def test_a_graph_computes_with_a_lazy_tensor(data, tmp_path):
    encode(tmp_path)
    graph = BipartiteGraph.from_data(attach(data, tmp_path, lazy=True))
    assert torch.equal(graph.llm_x['user'], EXPECTED)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (
            {'normalize': True},
            r'lazily as it is.*got float32, normalized=False',
        ),
        ({'dtype': torch.float16}, 'lazily as it is'),
    ],
)
def test_what_cannot_be_lazy(data, tmp_path, kwargs, match):
    encode(tmp_path)
    with pytest.raises(ValueError, match=match):
        attach(data, tmp_path, lazy=True, **kwargs)


def test_another_order_cannot_be_lazy(data, tmp_path):
    encode(tmp_path, (0, 2, 1))
    with pytest.raises(ValueError, match=r'order of the nodes.*in row 1\)'):
        attach(data, tmp_path, lazy=True)


@pytest.mark.parametrize(
    ('attr', 'value', 'match'),
    [
        ('id', ['u0', 'u1', 'x'], r"lacks 1 of 3 nodes, first id 'x'"),
        ('id', None, r"the nodes have none; set data\['user'\].id"),
        ('profile', ['other', *TEXTS[1:]], 'other texts than those'),
    ],
)
def test_store_of_another_graph(data, tmp_path, attr, value, match):
    encode(tmp_path, split=data)
    data['user'][attr] = value
    if value is None:
        del data['user'][attr]
    match = rf"'{tmp_path}' of node type 'user' .*{match}"
    with pytest.raises(ValueError, match=match):
        attach(data, tmp_path)


def test_wrong_number_of_rows(data, tmp_path):
    encode(tmp_path, (0, 1), with_ids=False)
    with pytest.raises(ValueError, match=r'got 2 rows for 3 nodes'):
        attach(data, tmp_path)


def test_store_of_another_split(data, tmp_path):
    encode(tmp_path, split=data)
    data[EDGE_TYPE].edge_index = torch.tensor([[0, 1, 2], [0, 0, 0]])
    with pytest.raises(ValueError, match=r'other training interactions'):
        attach(data, tmp_path)


def test_store_that_is_not_finished(data, tmp_path):
    encode(tmp_path)
    (tmp_path / 'manifest.json').unlink()
    with pytest.raises(ValueError, match=r'not finished.*go on'):
        attach(data, tmp_path)


def test_truncated_store(data, tmp_path):
    encode(tmp_path)
    path = tmp_path / 'embeddings.npy'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r'embeddings.npy.*not complete'):
        attach(data, tmp_path, lazy=True)


def test_folder_without_a_store(data, tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no embeddings'):
        attach(data, tmp_path)


def test_a_split_after_a_store_that_knows_the_pairs(data, tmp_path):
    encode(tmp_path, split=data)
    with pytest.raises(ValueError, match="of 'user' were made from"):
        SplitInteractions()(attach(data, tmp_path))
