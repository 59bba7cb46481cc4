import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.profiles import (
    Answer,
    ProfileStore,
    complete_profiles,
    hash_split,
)
from pyg_darec.transforms import SplitInteractions


def make_data():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 3
    data['item'].name = ['mug', 'lamp\n1', 'saw']
    data['item'].text = ['A mug.', 'A lamp.', 'A saw.']
    store = data['user', 'rates', 'item']
    store.edge_index = torch.tensor([[0, 0, 1], [0, 1, 1]])
    store.time = torch.tensor([1, 2, 3])
    store.test_edge_label_index = torch.tensor([[0, 1], [2, 2]])
    return data


def test_from_training_interactions():
    data = complete_profiles(make_data(), missing='?')
    assert data['item'].profile == ['A mug.', 'A lamp.', 'A saw.']
    assert data['user'].profile == ['lamp 1, mug', 'lamp 1', '?']
    data = complete_profiles(make_data(), max_items=1)
    assert data['user'].profile[0] == 'lamp 1'


def test_needs_texts():
    data = make_data()
    del data['item'].text
    with pytest.raises(ValueError, match=r"data\['item'\].text needs a list"):
        complete_profiles(data)
    data['item'].text = ['A mug.', None, ' ']
    with pytest.raises(ValueError, match=r'\.text needs .* 1 rows, .* 1\)'):
        complete_profiles(data)
    assert 'profile' not in data['user']


def test_items_without_a_text():
    data = make_data()
    data['item'].text = ['A mug.', '', ' ']
    data['item'].name = ['mug', '', 'saw']
    data = complete_profiles(data, max_items=1)
    assert data['item'].profile == ['A mug.', '', '']
    # A name of nothing is no name, and leaves room for another.
    unknown = ''
    assert data['user'].profile == ['mug', unknown, unknown]


def test_own_texts_of_users():
    data = unsplit_data()
    data['user'].text = ['I mow.', None, '']
    assert complete_profiles(data)['user'].profile[1:] == [
        'lamp 1',
        '',
    ]
    assert data['user'].profile[0] == 'I mow.'
    assert data['user'].profile_split == hash_split(data)
    data['user'].text = ['I mow.'] * 2
    with pytest.raises(ValueError, match=r"'user'\].text needs a list of 3"):
        complete_profiles(data)
    # Of interactions, these tell nothing.
    data = unsplit_data()
    data['user'].text = ['I mow.'] * 3
    assert complete_profiles(data)['user'].profile == ['I mow.'] * 3
    assert 'profile_split' not in data['user']


def test_profiles_of_users_that_are_there(tmp_path):
    data = make_data()
    data['user'].profile = ['By hand.', '', 'Too.']
    expected = ['By hand.', 'lamp 1', 'Too.']
    assert complete_profiles(data)['user'].profile == expected
    assert complete_profiles(data)['user'].profile == expected
    with ProfileStore(tmp_path / 'user.jsonl') as store:
        store.add([Answer(0, 'p', 'm', hash_split(data), 'Likes.', 'r')])
    stores = {'user': store.path}
    complete_profiles(data, stores)
    assert data['user'].profile == ['Likes.', 'lamp 1', 'Too.']
    # Those of other interactions may tell what is held out now.
    data['user', 'rates', 'item'].edge_index[1, 2] = 0
    assert complete_profiles(data)['user'].profile[:2] == ['lamp 1, mug', 'mug']


def test_the_attribute_of_times():
    data = make_data()
    data['user', 'rates', 'item'].when = torch.tensor([2, 1, 3])
    data = complete_profiles(data, time_attr='when')
    assert data['user'].profile[0] == 'mug, lamp 1'
    with pytest.raises(ValueError, match=r"'day' of .* needs to be a tensor"):
        complete_profiles(data, time_attr='day')


def test_names():
    data = make_data()
    data['item'].name = [float('nan'), 'lamp', '']
    assert complete_profiles(data)['user'].profile[0] == 'lamp, A mug.'
    for names in (['mug'], pd.Series(['mug', 'lamp', 'saw'], index=[2, 1, 0])):
        data['item'].name = names
        with pytest.raises(ValueError, match=r'\.name needs a list of 3'):
            complete_profiles(data)


def test_a_name_that_is_the_id_is_none():
    """As of items that a table of names does not have."""
    data = make_data()
    data['item'].id = ['007', '008', '009']
    data['item'].name = ['007', '008', 'saw']
    data['item'].text = ['', 'A lamp.', 'A saw.']
    complete_profiles(data)
    assert data['user'].profile == ['A lamp.', 'A lamp.', '']


def unsplit_data():
    data = make_data()
    del data['user', 'rates', 'item'].test_edge_label_index
    return data


def test_a_split_that_comes_later_is_refused(tmp_path):
    """It would hold out items that the texts of users name."""
    data = complete_profiles(unsplit_data())
    assert data['user'].profile_split == hash_split(data)
    assert 'profile_split' not in data['item']
    save_data(data, tmp_path)
    for known in (data, load_data(tmp_path)):
        with pytest.raises(ValueError, match=r"of 'user' were .* split first"):
            SplitInteractions()(known)


def test_a_split_after_items_were_profiled_by_interactions(tmp_path):
    data = unsplit_data()
    with ProfileStore(tmp_path / 'item.jsonl') as store:
        store.add([Answer(0, 'p', 'm', hash_split(data), 'A mug.', 'r')])
    data = complete_profiles(data, {'item': store.path})
    del data['user'].profile_split
    with pytest.raises(ValueError, match="of 'item' were made from"):
        SplitInteractions()(data)


def test_own_texts_in_place_of_what_was_made_from_interactions():
    data = make_data()
    data['item'].profile_split = 'of reviews'
    complete_profiles(data)
    assert 'profile_split' not in data['item']
    data['item'].profile_split = 'of reviews'
    data['item'].llm_x = torch.randn(len(data['item'].text), 4)
    complete_profiles(data)
    assert data['item'].profile_split == 'of reviews'


def test_own_profiles_are_kept_as_texts(tmp_path):
    """Prompts are made of them, and would change with what was written."""
    data = make_data()
    own = data['item'].profile = list(data['item'].text)
    del data['item'].text
    with ProfileStore(tmp_path / 'item.jsonl') as store:
        store.add([Answer(0, 'p', 'm', hash_split(data), 'Cup.', 'r')])
    for _ in range(2):
        complete_profiles(data, {'item': store.path})
        assert data['item'].profile == ['Cup.', *own[1:]]
        assert data['item'].text == own
    assert complete_profiles(data)['item'].profile == own
