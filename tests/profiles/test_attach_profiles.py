import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.profiles import (
    Answer,
    ProfileStore,
    attach_profiles,
    hash_split,
)


def make_data():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 3
    data['item'].id = ['b', 'a', 'c']
    data['user', 'rates', 'item'].edge_index = torch.tensor([[0, 1], [0, 2]])
    return data


def answer(node_id, split=None):
    return Answer(node_id, 'p', 'm', split, f'text {node_id}', 'r')


@pytest.fixture
def path(tmp_path):
    """A store of items, one of which is in no graph."""
    with ProfileStore(tmp_path / 'item.jsonl') as store:
        store.add(map(answer, 'abcd'))
    return store.path


def test_by_id_from_files_and_stores(path, tmp_path):
    data = make_data()
    split = hash_split(data)
    with ProfileStore(tmp_path / 'user.jsonl') as users:
        users.add([answer(1, split), answer(0, split)])
        out = attach_profiles(data, {'item': path, 'user': users})
    assert out is data
    assert data['item'].profile == ['text b', 'text a', 'text c']
    assert data['user'].profile == ['text 0', 'text 1']
    assert data['user'].profile_split == split
    assert 'profile_split' not in data['item']  # whose texts are of no split


def test_missing_profiles(path):
    with ProfileStore(path) as store:
        store.add([Answer('c', 'p', 'm', error='The reply is empty')])
    data = make_data()
    data['item'].id = ['b', 'c', 'x']
    with pytest.raises(ValueError, match=r"2 of 3 .*'c'.*The reply is empty"):
        attach_profiles(data, {'item': path})
    data['item'].id = ['x', 'c', 'b']
    with pytest.raises(ValueError, match=r"first id 'x'.*not asked for"):
        attach_profiles(data, {'item': path})
    assert 'profile' not in data['item']
    attach_profiles(data, {'item': path}, missing='unknown')
    assert data['item'].profile == ['unknown', 'unknown', 'text b']


def test_ids_of_another_type_are_not_found(path):
    with pytest.raises(ValueError, match=r'2 of 2 nodes .* first id 0'):
        attach_profiles(make_data(), {'user': path})


def test_ids_that_are_written_alike(tmp_path):
    data = make_data()
    data['item'].id = ['2', '1', 'x']
    with ProfileStore(tmp_path / 'item.jsonl') as store:
        store.add([answer(1), answer(2), answer('x'), answer('1')])
    attach_profiles(data, {'item': store.path})
    assert data['item'].profile == ['text 2', 'text 1', 'text x']
    data['item'].id = ['2', 2, 'x']  # of which one is in the store
    with pytest.raises(ValueError, match=r"1 of 3 .* first id '2'"):
        attach_profiles(data, {'item': store.path})


def test_profiles_of_another_split_are_refused(tmp_path):
    data = make_data()
    with ProfileStore(tmp_path / 'user.jsonl') as store:
        store.add([answer(0, hash_split(data)), answer(1, hash_split(data))])
    other = make_data()
    other['user', 'rates', 'item'].edge_index = torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(ValueError, match=r'id 0 .* may know held-out ones'):
        attach_profiles(other, {'user': store.path})
    assert 'profile' not in other['user']


def test_nothing_is_attached_if_one_store_is_wrong(path, tmp_path):
    data = make_data()
    with pytest.raises(FileNotFoundError):
        attach_profiles(data, {'item': path, 'user': tmp_path / 'none'})
    assert 'profile' not in data['item']


def test_wrong_node_type(path):
    with pytest.raises(ValueError, match=r"'stores' needs.*got 'movie'"):
        attach_profiles(make_data(), {'movie': path})


def test_other_relation(path):
    data = HeteroData()
    edge_type = ('reader', 'reads', 'book')
    data['reader'].num_nodes, data['book'].num_nodes = 1, 2
    data['book'].id = ['a', 'b']
    data[edge_type].edge_index = torch.tensor([[0], [1]])
    attach_profiles(data, {'book': path}, edge_type=edge_type)
    assert data['book'].profile == ['text a', 'text b']


def test_what_an_earlier_split_left(tmp_path):
    """Nodes that the prompts of this split had nothing to ask about, and
    answers that failed.
    """
    data = make_data()
    now = hash_split(data)
    with ProfileStore(tmp_path / 'item.jsonl') as store:
        store.add([answer('a', now), answer('b', now), answer('c', 'before')])
    attach_profiles(data, {'item': store.path}, missing='')
    assert data['item'].profile == ['text b', 'text a', '']
    with pytest.raises(ValueError, match=r"id 'c' .* may know held-out"):
        attach_profiles(data, {'item': store.path})
    # Also where these prompts knew nothing of the split.
    with ProfileStore(tmp_path / 'none.jsonl') as store:
        store.add([answer('a'), answer('b'), answer('c', 'before')])
    attach_profiles(data, {'item': store.path}, missing='')
    assert data['item'].profile == ['text b', 'text a', '']
    # Not if it is the whole store that is of another split.
    with ProfileStore(tmp_path / 'old.jsonl') as store:
        store.add([answer(name, 'before') for name in 'abc'])
    with pytest.raises(
        ValueError, match=r'may know held-out.* delete the file'
    ):
        attach_profiles(data, {'item': store.path}, missing='')
    failed = Answer('c', 'p', 'm', 'before', error='too long')
    with ProfileStore(tmp_path / 'failed.jsonl') as store:
        store.add([answer('a', now), answer('b', now), failed])
    with pytest.raises(ValueError, match='lacks the profiles of 1 of 3'):
        attach_profiles(data, {'item': store.path})
