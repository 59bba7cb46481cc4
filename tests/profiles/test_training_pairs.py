import tracemalloc
import warnings

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from pyg_darec.profiles.training_pairs import TrainingPairs

TRAIN = [[0, 0, 0, 1], [0, 1, 2, 2]]


def make_data(train=TRAIN, time=None, num_users=3, num_items=3):
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = num_users, num_items
    data['user'].id = [f'u{n}' for n in range(num_users)]
    data['item'].id = list(range(100, 100 + num_items))
    store = data['user', 'rates', 'item']
    store.edge_index = torch.tensor(train, dtype=torch.long).view(2, -1)
    store.test_edge_label_index = torch.tensor([[1], [0]])
    if time is not None:
        store.time = torch.tensor(time)
    return data


def test_newest_first():
    pairs = TrainingPairs(make_data(time=[5, 9, 7, -2]))
    assert list(pairs.items_of_users()) == [[1, 2, 0], [2], []]
    assert list(pairs.users_of_items()) == [[0], [0], [0, 1]]


def test_order_of_edges_and_duplicates_do_not_matter():
    mixed = make_data([[1, 0, 0, 0, 0], [2, 2, 1, 0, 1]], [-2, 7, 9, 5, 3])
    pairs = TrainingPairs(mixed)
    assert list(pairs.items_of_users()) == [[1, 2, 0], [2], []]
    assert pairs.split == TrainingPairs(make_data()).split


def test_times_of_narrow_indices():
    """Numbers of pairs need not fit the type of 'edge_index'."""
    data = make_data([[1, 1], [0, 99]], [1, 2], num_items=100)
    store = data['user', 'rates', 'item']
    store.edge_index = store.edge_index.to(torch.int8)
    pairs = TrainingPairs(data)
    assert list(pairs.items_of_users()) == [[], [99, 0], []]


def test_seed_decides_without_time():
    train = [[0] * 30, list(range(30))]
    data = make_data(train, num_items=30)
    first, again, other = (
        next(TrainingPairs(data, seed=seed).items_of_users())
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert sorted(first) == sorted(other) == list(range(30))
    assert first != sorted(first)


def test_ids_that_become_texts_keep_the_order():
    """As they do where a table has one id that is no number."""
    train = [[0] * 30 + [1] * 12, [*range(30), *range(12)]]
    data = make_data(train, num_users=2, num_items=30)
    data['user'].id, data['item'].id = [7, 8], list(range(80, 110))
    before = TrainingPairs(data)
    texts = sorted(map(str, data['item'].id))
    place = torch.tensor([texts.index(str(n)) for n in data['item'].id])
    store = data['user', 'rates', 'item']
    store.edge_index = torch.stack([store.edge_index[0], place[train[1]]])
    data['user'].id, data['item'].id = ['7', '8'], [*texts, 'guest']
    data['item'].num_nodes = 31
    after = TrainingPairs(data)
    for a, b in zip(
        before.items_of_users(), after.items_of_users(), strict=True
    ):
        assert [str(before.item_ids[n]) for n in a] == [
            after.item_ids[n] for n in b
        ]


@settings(max_examples=30)
@given(st.data())
def test_only_reviews_of_training_pairs_pass(draw):
    """Whatever reviews there are of whatever pairs."""
    cell = st.tuples(st.integers(0, 3), st.integers(0, 3))
    train = draw.draw(st.sets(cell, min_size=1))
    reviewed = draw.draw(st.lists(cell))
    first = next(iter(train))
    data = make_data(list(zip(*train, strict=True)), None, 4, 4)
    reviews = [(f'u{u}', 100 + i, f'{u}-{i}') for u, i in [first, *reviewed]]
    out = TrainingPairs(data).reviews(reviews)
    assert set(out) == train & {first, *reviewed}
    for (user, item), text in out.items():
        assert set(text.split('\n')) == {f'{user}-{item}'}


def test_pairs_are_not_looked_up_without_reviews():
    train = torch.cartesian_prod(torch.arange(300), torch.arange(100)).t()
    data = make_data(train.tolist(), num_users=300, num_items=100)
    tracemalloc.start()
    assert TrainingPairs(data).reviews(None) == {}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20  # a set of all pairs takes more


def test_reviews_without_text_are_skipped():
    pairs = TrainingPairs(make_data())
    texts = [None, float('nan'), pd.NA, ' \n', 'fine']
    assert pairs.reviews([('u0', 100, t) for t in texts]) == {(0, 0): 'fine'}
    assert pairs.reviews([('u0', 100, None)]) == {}
    assert pairs.reviews(None) == pairs.reviews([]) == {}


@pytest.mark.parametrize(
    ('reviews', 'message'),
    [
        ([('u0', 100)], 'row 0 is none'),
        ([('u0', 100, 'a'), 'abc'], 'row 1 is none'),
        ([('u0', 100, 3)], "of user 'u0' and item 100, is none"),
        ([('u0', '1oo', 'a')], 'None of the 1 reviews .* like .*u0.*100'),
        ([('u1', 100, 'held out')], 'None of the 1 reviews'),
        (pd.DataFrame({'user': ['u0']}), r"row 0 is none \(got 'user'\)"),
    ],
)
def test_wrong_reviews(reviews, message):
    with pytest.raises(ValueError, match=message):
        TrainingPairs(make_data()).reviews(reviews)


def test_reviews_of_unknown_nodes_are_told():
    reviews = [
        ('u0', 100, 'fine'),
        ('u9', 100, 'of nobody'),
        ('u0', 999, 'of nothing'),
        ('u1', 100, 'held out'),
    ]
    match = r"2 of 4 reviews name .*like \['u0', .* \(got \('u9', 100\) first"
    with pytest.warns(UserWarning, match=match):
        out = TrainingPairs(make_data()).reviews(reviews)
    assert out == {(0, 0): 'fine'}
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        TrainingPairs(make_data()).reviews([reviews[0], reviews[3]])


@pytest.mark.parametrize('ids', [['a', 'b'], ['a', 'b', 'a']])
def test_wrong_ids(ids):
    data = make_data()
    data['user'].id = ids
    with pytest.raises(ValueError, match=r"data\['user'\].id needs 3"):
        TrainingPairs(data)


def test_nodes_without_ids_have_indices():
    data = make_data()
    del data['user'].id
    data['item'].id = torch.tensor([7, 8, 9])
    pairs = TrainingPairs(data)
    assert pairs.user_ids == [0, 1, 2]
    assert pairs.item_ids == [7, 8, 9]
    assert type(pairs.item_ids[0]) is int


@pytest.mark.parametrize(
    ('time', 'got'), [([1, 2], r'\(2,\)'), ([[1]] * 4, r'\(4, 1\)')]
)
def test_wrong_time(time, got):
    match = rf"'time' of .* shape \(4,\), one time per .*got {got}\)"
    with pytest.raises(ValueError, match=match):
        TrainingPairs(make_data(time=time))


def test_the_attribute_of_times():
    data = make_data(time=[9, 5, 7, -2])
    data['user', 'rates', 'item'].when = torch.tensor([5, 9, 7, -2])
    pairs = TrainingPairs(data, time_attr='when')
    assert list(pairs.items_of_users()) == [[1, 2, 0], [2], []]
    with pytest.raises(ValueError, match=r"'whne' of .* needs to be a tensor"):
        TrainingPairs(data, time_attr='whne')
    data['user', 'rates', 'item'].when = [5, 9, 7, -2]
    with pytest.raises(ValueError, match=r"'when' of .*got <class 'list'>"):
        TrainingPairs(data, time_attr='when')


def test_reviews_of_ids_that_are_written_alike():
    pairs = TrainingPairs(make_data())
    ids = [100, '100', 100.0, '100.0', '0100', 'guest']
    reviews = [('u0', item, f'{item!r}') for item in ids]
    expected = "100\n'100'\n100.0\n'100.0'"
    with pytest.warns(UserWarning, match="2 of 6 reviews .* '0100'"):
        assert pairs.reviews(reviews) == {(0, 0): expected}
