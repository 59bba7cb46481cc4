import pytest
import torch

from pyg_darec.datasets.purchase_profiles import purchase_profiles

DESCRIPTION = ['Red mug', 'Red plate', 'Tin of soup', 'Red mug', 'Kite']
COUNTRY = ['Italy', 'France', 'Japan']
EDGE_INDEX = torch.tensor([[0, 0, 0, 2], [2, 1, 0, 4]])


def test_most_typical_first():
    assert purchase_profiles(EDGE_INDEX, COUNTRY, DESCRIPTION) == [
        'Customer from Italy who buys: Red mug, Red plate, Tin of soup',
        'Customer from France who buys: nothing',
        'Customer from Japan who buys: Kite',
    ]


@pytest.mark.parametrize('num_items', [1, 2])
def test_num_items(num_items):
    profile = purchase_profiles(EDGE_INDEX, COUNTRY, DESCRIPTION, num_items)[0]
    assert profile.count(',') == num_items - 1


def test_order_of_interactions_does_not_matter():
    expected = purchase_profiles(EDGE_INDEX, COUNTRY, DESCRIPTION)
    flipped = purchase_profiles(EDGE_INDEX.flip(1), COUNTRY, DESCRIPTION)
    assert flipped == expected
