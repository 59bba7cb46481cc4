import contextlib
import json
import shutil

import numpy as np
import pytest
import torch
from conformance.graphs import RATES, random_data
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.io.folder import MANIFEST, write_folder
from pyg_darec.profiles import encode_profiles, hash_split
from pyg_darec.transforms import AttachProfileEmbeddings


def example() -> HeteroData:
    data = random_data(6, 5, 20, llm_dim=3)
    data['user'].id = [7, 'seven', '8', -1, 10**30, '茶\u2028\ud800']
    data['item'].id = ['a', '', ' ', '\n', '🫖']
    data['item'].profile = ['Süß', 'b' * 10_000, '\0x', '"', '\\']
    data[RATES].time = torch.arange(data[RATES].edge_index.size(1))
    data['item'].half = torch.randn(5).bfloat16()
    data['item'].is_new = torch.tensor([True, False, True, True, False])
    data['item'].empty = torch.empty(0, 4)
    data['item'].scalar = torch.tensor(float('nan'))
    data.source = {'shop': 'Zürich', 'year': 2024, 'sure': None, 'p': 0.1}
    return data


def assert_same(left: HeteroData, right: HeteroData) -> None:
    left, right = left.to_dict(), right.to_dict()
    assert list(left) == list(right)
    for key, store in left.items():
        assert list(store) == list(right[key])
        for attr, value in store.items():
            other = right[key][attr]
            assert type(value) is type(other)
            if isinstance(value, torch.Tensor):
                assert value.dtype == other.dtype
                assert value.shape == other.shape
                raw = [
                    x.contiguous().view(-1).view(torch.uint8)
                    for x in (value, other)
                ]
                assert raw[0].equal(raw[1])
            else:
                assert value == other
                assert repr(value) == repr(other)


def test_round_trip_is_equal_bit_by_bit(tmp_path):
    data = example()
    save_data(data, tmp_path / 'data')
    assert_same(load_data(tmp_path / 'data'), data)


def test_files_that_a_person_can_read(tmp_path):
    save_data(example(), tmp_path)
    text = (tmp_path / 'item.id.jsonl').read_text(encoding='utf-8')
    assert text.splitlines() == ['"a"', '""', '" "', '"\\n"', '"🫖"']
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert content['format'] == 'pyg_darec.data.1'


def test_tensors_of_odd_layout(tmp_path):
    data = example()
    base = torch.randn(3, 5)
    data['item'].llm_x = base.t()  # not contiguous
    data['item'].part = base[0]  # shares memory
    data['item'].parameter = torch.randn(5, requires_grad=True)
    save_data(data, tmp_path)
    out = load_data(tmp_path)
    for attr in ('llm_x', 'part', 'parameter'):
        assert out['item'][attr].equal(data['item'][attr])
    assert not out['item'].parameter.requires_grad
    out['item'].llm_x.fill_(0)  # no slice of the file


def test_names_that_are_no_file_names(tmp_path):
    data = HeteroData()
    for n, key in enumerate(
        ('a/b', '..', 'A', 'a', 'ü', 'x.y', 'x', 'c' * 300)
    ):
        data[key].id = [n]
        data[key].y = torch.tensor([n])
    data['x']['y.y'] = torch.tensor([9])
    save_data(data, tmp_path / 'data')
    assert_same(load_data(tmp_path / 'data'), data)
    assert [path.name for path in tmp_path.iterdir()] == ['data']


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (torch.eye(2).to_sparse(), r"convert 'item.it' \(got a 'Tensor'.*spar"),
        (EdgeIndex([[0], [1]]), r"convert 'item.it' \(got a 'EdgeIndex'"),
        (np.ones(3), r"'item.it' cannot be saved.*\(got a 'ndarray'\)"),
        (('a', 'b'), r"'item.it' cannot be saved.*\(got a 'tuple'\)"),
        ([1, object()], r"'item.it.jsonl'.*'object'\) at position 1"),
    ],
)
def test_what_cannot_be_saved(value, message, tmp_path):
    data = example()
    save_data(data, tmp_path)
    changed = example()
    changed['item'].it = value
    with pytest.raises(TypeError, match=message):
        save_data(changed, tmp_path)
    assert_same(load_data(tmp_path), data)


def test_no_graph(tmp_path):
    with pytest.raises(TypeError, match=r"'HeteroData'.*\(got 'dict'\)"):
        save_data({}, tmp_path)


def attached(folder):
    sources = {'user': folder / 'u.npy', 'item': folder / 'in' / 'i.npy'}
    (folder / 'in').mkdir()
    data = example()
    for kind, path in sources.items():
        np.save(path, data[kind].llm_x.numpy())
    return AttachProfileEmbeddings(sources)(data), sources


def test_embeddings_by_reference(tmp_path):
    data, sources = attached(tmp_path)
    save_data(data, tmp_path / 'data', embeddings=sources)
    out = load_data(tmp_path / 'data')
    for kind in ('user', 'item'):
        assert out[kind].llm_x.equal(data[kind].llm_x)
    assert (tmp_path / 'data' / 'tensors.safetensors').stat().st_size < 3000
    # The path is relative: everything can move together.
    moved = tmp_path / 'moved'
    moved.mkdir()
    for name in ('data', 'in', 'u.npy'):
        shutil.move(tmp_path / name, moved / name)
    assert load_data(moved / 'data')['user'].llm_x.equal(data['user'].llm_x)


@pytest.mark.parametrize('first', [None, ('item', 'in', 'genre')])
@pytest.mark.parametrize('rates', [RATES, ('user', 'likes', 'item')])
def test_embedding_store_by_reference(tmp_path, first, rates):
    """Whichever relations there are, and in whatever order."""
    store, old = tmp_path / 'store', example().to_dict()
    data = HeteroData()
    if first is not None:
        data['genre'].num_nodes = 2
        data[first].edge_index = torch.zeros(2, 1, dtype=torch.long)
    for key, attributes in old.items():
        if key != '_global_store':
            data[rates if key == RATES else key].update(attributes)
    encode_profiles(
        data['item'].profile,
        store,
        lambda texts: np.float32([[len(t), 1, 0] for t in texts]),
        data['item'].id,
        split=hash_split(data, rates),
        encoder_key='length',
    )
    data = AttachProfileEmbeddings({'item': store}, edge_type=rates)(data)
    save_data(data, tmp_path / 'data', embeddings={'item': store})
    out = load_data(tmp_path / 'data')
    assert out['item'].llm_x.equal(data['item'].llm_x)


def test_embeddings_beside_a_linked_folder(tmp_path):
    data, sources = attached(tmp_path)
    real, link = tmp_path / 'far' / 'away' / 'data', tmp_path / 'link'
    real.mkdir(parents=True)
    link.symlink_to(real, target_is_directory=True)
    save_data(data, link, embeddings=sources)
    for folder in (link, real):
        assert load_data(folder)['user'].llm_x.equal(data['user'].llm_x)


def test_embeddings_that_are_gone_or_others(tmp_path):
    data, sources = attached(tmp_path)
    save_data(data, tmp_path / 'data', embeddings=sources)
    np.save(sources['user'], data['user'].llm_x.numpy() + 1)
    with pytest.raises(ValueError, match=r"u\.npy' holds other embeddings"):
        load_data(tmp_path / 'data')
    sources['user'].unlink()
    with pytest.raises(FileNotFoundError, match=r'u\.npy'):
        load_data(tmp_path / 'data')


def test_reference_to_other_embeddings(tmp_path):
    data, sources = attached(tmp_path)
    data['user'].llm_x = data['user'].llm_x * 2
    with pytest.raises(ValueError, match=r"u\.npy', which does not hold"):
        save_data(data, tmp_path / 'data', embeddings=sources)
    assert not (tmp_path / 'data').exists()


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved') / 'data'
    save_data(example(), folder)
    return folder


@given(st.data())
@settings(max_examples=150)
def test_damage_is_never_read_as_data(saved, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('damaged') / 'data'
    shutil.copytree(saved, folder)
    name = data.draw(st.sampled_from(sorted(p.name for p in folder.iterdir())))
    path = folder / name
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(['flip', 'cut', 'insert', 'remove'])):
        case 'flip':
            content[place] ^= data.draw(st.integers(1, 255))
        case 'cut':
            del content[place:]
        case 'insert':
            content[place:place] = data.draw(st.binary(min_size=1, max_size=9))
        case 'remove':
            path.unlink()
    if path.exists():
        path.write_bytes(content)
    error = None
    try:
        out = load_data(folder)
    except ValueError as e:
        error = str(e)
    if error is None:  # another blank between two values of the manifest
        assert name == MANIFEST
        assert_same(out, example())
    else:
        assert name in error


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(
    st.text(max_size=3),
    JSON
    | st.fixed_dictionaries({'value': JSON})
    | st.fixed_dictionaries({'tensor': JSON})
    | st.fixed_dictionaries({'list': JSON | st.just('x.jsonl')}),
    max_size=3,
)
PART = st.fixed_dictionaries({'key': JSON, 'attributes': ATTRIBUTES | JSON})


@given(parts=st.lists(PART, max_size=3) | JSON)
@settings(max_examples=60)
def test_forged_manifest(saved, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp('forged') / 'data'
    with write_folder(folder, 'pyg_darec.data.1') as writer:
        writer.content['parts'] = parts
        name = 'tensors.safetensors'
        shutil.copy(saved / name, writer.add(name))
        writer.add('x.jsonl').write_text('1\n')
    with contextlib.suppress(ValueError, OSError):
        assert isinstance(load_data(folder), HeteroData)
