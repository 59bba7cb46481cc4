import numpy as np
import pandas as pd
import pytest

from pyg_darec.datasets.reviews import read_reviews


def test_read_reviews(tmp_path):
    path = tmp_path / 'reviews.csv'
    path.write_text('who,what,said\n1,a,"Good, 👍"\n2,b,\n')
    reviews = read_reviews(path, 'who', 'what', 'said')
    assert reviews == [(1, 'a', 'Good, 👍'), (2, 'b', None)]


def test_bad_tables():
    table = pd.DataFrame({'user': [1], 'item': [None], 'text': ['a']})
    with pytest.raises(ValueError, match="Column 'item' of the table"):
        read_reviews(table)
    with pytest.raises(ValueError, match="exactly one column 'said'"):
        read_reviews(table, text='said')


def test_what_looks_missing_is_a_text(tmp_path):
    path = tmp_path / 'reviews.csv'
    path.write_text('user,item,text\nNA,1,None\nb,2,\n')
    assert read_reviews(path) == [('NA', 1, 'None'), ('b', 2, None)]


def test_nullable_and_list_columns():
    table = pd.DataFrame({'user': [1, 2], 'item': [3, 4]})
    stars = table.assign(text=pd.array([5, None], dtype='Int64'))
    assert read_reviews(stars) == [(1, 3, '5'), (2, 4, None)]
    lists = table.assign(text=[np.array(['good', 'red']), None])
    assert read_reviews(lists) == [(1, 3, 'good, red'), (2, 4, None)]
