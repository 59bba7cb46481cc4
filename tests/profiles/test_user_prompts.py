import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.profiles import PromptTemplate, user_prompts
from pyg_darec.profiles.prompt_writer import NOTHING

REVIEWS = [
    (0, 1, 'A good bowl.'),
    (0, 2, 'The held-out secret.'),
    (1, 0, 'A good mug.'),
]
SHORT = PromptTemplate('<$items|$reviews>', system='s')


def make_data():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 3
    data['item'].profile = ['Mug lovers', 'Bowl lovers', 'Secret lovers']
    store = data['user', 'rates', 'item']
    store.edge_index = torch.tensor([[0, 0, 1], [0, 1, 0]])
    store.time = torch.tensor([1, 2, 3])
    store.val_edge_label_index = torch.tensor([[0], [2]])
    store.test_edge_label_index = torch.tensor([[1], [2]])
    return data


def test_what_is_asked():
    prompts = user_prompts(make_data(), REVIEWS, SHORT)
    assert [p.text for p in prompts] == [
        '<1. Bowl lovers\n2. Mug lovers|1. A good bowl.>',
        '<1. Mug lovers|1. A good mug.>',
    ]
    assert [p.id for p in prompts] == [0, 1]
    assert prompts[0].split == prompts[1].split is not None


def test_without_reviews():
    (prompt, _) = user_prompts(make_data(), None, SHORT, max_items=1)
    assert prompt.text == f'<1. Bowl lovers|{NOTHING}>'


def test_the_attribute_of_times():
    data = make_data()
    data['user', 'rates', 'item'].when = torch.tensor([2, 1, 3])
    prompt, _ = user_prompts(data, None, SHORT, max_items=1, time_attr='when')
    assert prompt.text == f'<1. Mug lovers|{NOTHING}>'


def test_items_with_an_empty_profile_are_left_out():
    data = make_data()
    data['item'].profile[1] = ''
    assert 'Bowl' not in user_prompts(data, None, SHORT)[0].text
    assert '1. ' not in user_prompts(data, None, SHORT)[0].text


def test_nothing_held_out_is_in_any_prompt():
    prompts = user_prompts(make_data(), REVIEWS)
    assert not any('ecret' in p.text + p.system for p in prompts)


def test_users_without_training_interactions():
    data = make_data()
    data['user'].num_nodes = 3
    with pytest.raises(ValueError, match='1 of 3 users, first id 2'):
        user_prompts(data)
    assert [p.id for p in user_prompts(data, skip_empty=True)] == [0, 1]


@pytest.mark.parametrize('profile', [None, 'text', ['a'], ['a', None, 'b']])
def test_items_without_profiles(profile):
    data = make_data()
    data['item'].profile = profile
    with pytest.raises(ValueError, match=r"data\['item'\].profile needs"):
        user_prompts(data)
