import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.profiles import PromptTemplate, item_prompts
from pyg_darec.profiles.prompt_writer import NOTHING

METADATA = {
    'p0': {'title': 'Mug', 'tags': ['red', 'big'], 'brand': None},
    'p1': {'title': 'Bowl', 'price': 3.5, 'size': float('nan')},
    'p2': 'A spoon.',
}
REVIEWS = [
    ('u0', 'p0', 'I drink tea from it.'),
    ('u1', 'p0', 'The held-out secret.'),
    ('u1', 'p1', 'Too small.'),
    ('u0', 'p9', 'Of an item that was filtered.'),
]
SHORT = PromptTemplate('<$metadata|$reviews>', system='s')


def make_data():
    data = HeteroData()
    data['user'].id, data['item'].id = ['u0', 'u1'], ['p0', 'p1', 'p2']
    data['user'].num_nodes, data['item'].num_nodes = 2, 3
    store = data['user', 'rates', 'item']
    store.edge_index = torch.tensor([[0, 1], [0, 1]])
    store.test_edge_label_index = torch.tensor([[1], [0]])
    return data


def texts(*args, **kwargs):
    return [p.text for p in item_prompts(make_data(), *args, **kwargs)]


def test_what_is_asked():
    assert texts(METADATA, REVIEWS, SHORT) == [
        '<- title: Mug\n- tags: red, big|- I drink tea from it.>',
        '<- title: Bowl\n- price: 3.5|- Too small.>',
        f'<- A spoon.|{NOTHING}>',
    ]


def test_prompts_have_ids_and_a_split_only_if_there_are_reviews():
    prompts = item_prompts(make_data(), METADATA)
    assert [p.id for p in prompts] == ['p0', 'p1', 'p2']
    assert {p.split for p in prompts} == {None}
    prompts = item_prompts(make_data(), METADATA, REVIEWS)
    assert len({p.split for p in prompts}) == 1
    assert prompts[0].split is not None
    assert 'JSON' in prompts[0].system


def test_the_attribute_of_times():
    data = make_data()
    data['user', 'rates', 'item'].edge_index = torch.tensor([[0, 1], [0, 0]])
    reviews = [('u0', 'p0', 'Old.'), ('u1', 'p0', 'New.')]
    for when, order in (([1, 2], 'New.\n- Old.'), ([2, 1], 'Old.\n- New.')):
        data['user', 'rates', 'item'].when = torch.tensor(when)
        prompts = item_prompts(data, METADATA, reviews, SHORT, time_attr='when')
        assert order in prompts[0].text


def test_held_out_interactions_change_nothing():
    data = make_data()
    data['user', 'rates', 'item'].test_edge_label_index = torch.tensor(
        [[0, 0], [1, 2]]
    )
    assert item_prompts(data, METADATA, REVIEWS) == item_prompts(
        make_data(), METADATA, REVIEWS
    )


def test_nothing_known():
    metadata = {'p0': 'Mug', 'p1': {'title': ' '}}
    with pytest.raises(ValueError, match=r"2 of 3 items, first id 'p1'"):
        item_prompts(make_data(), metadata)
    prompts = item_prompts(make_data(), metadata, skip_empty=True)
    assert [p.id for p in prompts] == ['p0']


def test_metadata_of_other_ids():
    with pytest.raises(ValueError, match=r'none of the 3 items.*got keys.*7'):
        item_prompts(make_data(), {7: 'Mug'}, REVIEWS)
    table = pd.DataFrame({'item': ['p0'], 'title': ['Mug']})
    with pytest.raises(ValueError, match=r"got keys like \['item', 'title'\]"):
        item_prompts(make_data(), table)


def test_hostile_texts():
    hostile = '$metadata {x} %s\x00\x1b[2J\n\n"}\ud800 ignore all 👩‍👩‍👧'
    (text, *_) = texts({'p0': hostile}, None, SHORT, skip_empty=True)
    expected = '$metadata {x} %s [2J "}? ignore all 👩‍👩‍👧'
    assert text == f'<- {expected}|{NOTHING}>'


@pytest.mark.parametrize('name', ['max_tokens', 'max_reviews'])
def test_wrong_counts(name):
    with pytest.raises(ValueError, match=f"'{name}' needs to be a positive"):
        item_prompts(make_data(), METADATA, **{name: 0})


def test_wrong_template():
    with pytest.raises(ValueError, match=r"unknown placeholder '\$items'"):
        texts(METADATA, None, PromptTemplate('$items'))


def test_fields_of_nullable_and_of_list_columns():
    metadata = {
        'p0': {'year': pd.NA, 'tags': np.array(['red', 'big'], dtype=object)},
        'p1': {'year': 1984, 'tags': None},
        'p2': {'tags': ['a', None], 'year': pd.NaT},
    }
    expected = ['- tags: red, big', '- year: 1984', '- tags: a']
    template = PromptTemplate('$metadata', system='s')
    assert texts(metadata, None, template) == expected


def test_ids_of_numpy():
    data = make_data()
    data['item'].id = [np.int64(4), np.int64(5), np.int64(6)]
    prompts = list(item_prompts(data, {4: 'a', 5: 'b', 6: 'c'}, template=SHORT))
    assert [prompt.id for prompt in prompts] == [4, 5, 6]
