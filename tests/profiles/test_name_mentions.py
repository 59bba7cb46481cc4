import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles.name_mentions import NameIndex, find_mentions

NAMES = ['Red Mug', 'mug', 'T-light holder', 'C++', '!!!', '茶碗', 'STRASSE 7']


@pytest.mark.parametrize(
    ('text', 'rows'),
    [
        ('Buys a RED  mug.', {0, 1}),
        ('red-mug', {1}),
        ('mugs and mugged', set()),
        ('(t-light holder)', {2}),
        ('t light holder', set()),
        ('red\nmug', {0, 1}),
        ('likes c++ a lot', {3}),
        ('!!!', set()),
        ('この茶碗が好き', {5}),
        ('Straße 7', {6}),
        ('', set()),
    ],
)
def test_names_at_word_boundaries(text, rows):
    assert NameIndex(NAMES).find(text) == rows


WORDS = st.lists(st.sampled_from('abc'), min_size=1, max_size=4).map(' '.join)


@given(st.lists(WORDS, max_size=8), WORDS)
def test_equals_a_search_for_each_name(names, text):
    expected = {n for n, name in enumerate(names) if f' {name} ' in f' {text} '}
    assert NameIndex(names).find(text) == expected


def test_only_names_of_held_out_items_count():
    names = ['red mug', 'blue cup', 'big red mug', 'teapot', 'red mug']
    texts = ['a red mug', 'a red mug', 'a blue cup and a teapot', 'nothing']
    training = [[1], [2], [1], [0]]
    held_out = [[0], [4], [3], [1]]
    mentions, expected = find_mentions(names, texts, training, held_out)
    assert [tuple(m) for m in mentions] == [
        (0, 0, 'red mug', False),
        (1, 4, 'red mug', True),
        (2, 3, 'teapot', False),
    ]
    assert expected > 0  # item 4 has the name that user 0 reads as well


def test_text_of_a_training_item_explains_a_name():
    names, texts = ['mug', 'cup'], ['likes a cup']
    item_texts = ['a mug with a cup', 'b']
    mentions, _ = find_mentions(names, texts, [[0]], [[1]], item_texts)
    assert [m.is_explained for m in mentions] == [True]


def test_repr():
    assert str(NameIndex(NAMES)) == 'NameIndex(6 names)'


def test_names_that_are_missing():
    assert NameIndex(['mug', None, float('nan')]).find('a mug') == {0}


def test_texts_and_names_that_are_missing():
    names = [None, 'Red Cup', float('nan')]
    texts = ['likes Red Cup', None]
    found, _ = find_mentions(names, texts, [[0], []], [[1], [1]])
    assert [mention.item for mention in found] == [1]


def test_a_pair_of_training_is_not_held_out():
    found, _ = find_mentions(['Blue Lamp'], ['likes Blue Lamp'], [[0]], [[0]])
    assert found == []
