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
