import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from pyg_darec.profiles.cell import is_missing, to_text


@pytest.mark.parametrize(
    'value', [None, float('nan'), np.float32('nan'), pd.NA, pd.NaT], ids=str
)
def test_missing(value):
    assert is_missing(value) is True
    assert to_text(value) == ''


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        ('None', 'None'),
        ('', ''),
        (False, 'False'),
        (np.False_, 'False'),
        (0, '0'),
        ([], ''),
        (['a', None, 2, ['b', pd.NA]], 'a, 2, b'),
        (np.array(['a', 'b'], dtype=object), 'a, b'),
        (np.array([np.nan]), ''),
        ({'b', 'a'}, 'a, b'),
        (('a',), 'a'),
        (datetime.date(2020, 1, 2), '2020-01-02'),
    ],
)
def test_not_missing(value, text):
    assert not is_missing(value)
    assert to_text(value) == text


def test_tensors_and_frames_are_not_missing():
    assert not is_missing(torch.ones(2))
    assert not is_missing(pd.DataFrame({'a': [1]}))
