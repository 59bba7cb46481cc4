import numpy as np
import pytest

from pyg_darec.profiles.written_ids import (
    WrittenIds,
    match_written,
    spellings,
)

IDS = [7, '7', '8.0', '8', '9.0', 1e17, 'x', True, 'y', 'y']


@pytest.mark.parametrize(
    ('value', 'place'),
    [
        (7, 0),
        (np.int64(7), 0),
        (7.0, -1),  # of two that are written alike, neither
        ('7', 1),
        ('8.0', 2),
        ('8', 3),
        (9, 4),
        (9.0, 4),
        (10**17, 5),
        (1, -1),
        ('True', 7),
        ('y', -1),
        ('x.0', -1),
        ([7], -1),
        (None, -1),
    ],
)
def test_find(value, place):
    assert WrittenIds(IDS).find(value) == place


def test_places():
    assert WrittenIds(IDS).places('y') == [8, 9]
    assert WrittenIds(IDS).places('z') == []


@pytest.mark.parametrize(
    ('ids', 'nodes', 'places'),
    [
        ([7, 'x'], ['x', '7'], [1, 0]),
        (['7.0'], [7], [0]),
        (['7', 7], [7, '7'], [1, 0]),
        ([7], [7, '7'], [0, -1]),  # which is the other node
        ([7], ['7.0', '7'], [-1, 0]),
        (['7'], ['07', 8], [-1, -1]),
        ([7.0, '7'], ['7.0'], [-1]),
    ],
)
def test_match(ids, nodes, places):
    assert match_written(ids, nodes) == places


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (7, {7, '7', '7.0'}),
        ('7', {7, '7', '7.0'}),
        ('-7.0', {-7, '-7', '-7.0'}),
        ('07', {'07'}),
        ('x', {'x'}),
        ('9' * 5000, {'9' * 5000}),
    ],
)
def test_spellings(value, expected):
    assert spellings(value)[0] == value
    assert set(spellings(value)) == expected


def test_repr():
    assert str(WrittenIds(IDS)) == 'WrittenIds(10)'
