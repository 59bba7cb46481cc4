import pandas as pd
import pytest

from pyg_darec.datasets import from_table
from pyg_darec.datasets.texts import attach_texts


def make_data():
    return from_table(pd.DataFrame({'user': [1, 1, 2], 'item': [7, 8, 9]}))


def test_one_column(tmp_path):
    path = tmp_path / 'items.csv'
    path.write_text('item,title\n9,1984\n8,"A, b 🎁"\n7, c\n5,other\n')
    data = attach_texts(make_data(), path)
    assert data['item'].name == ['c', 'A, b 🎁', '1984']
    assert data['item'].text == data['item'].name


def test_several_columns():
    table = pd.DataFrame(
        {
            'item': ['7', '8', '9'],
            'kind': ['mug', None, 'lamp'],
            'title': ['Blue', 'Red', float('nan')],
        }
    )
    data = attach_texts(make_data(), table, name='title')
    assert data['item'].name == ['Blue', 'Red', '9']
    assert data['item'].text == [
        'kind: mug\ntitle: Blue',
        'title: Red',
        'kind: lamp',
    ]


@pytest.mark.parametrize(
    ('rows', 'says'),
    [
        ('7,a\n8,b\n', "no text for 1 of 3 .* first id '9'.*no row of that id"),
        ('7,a\n8,\n9,c\n', "first id '8'.*an empty row 1"),
        ('7,a\n8,b\n9,c\n7,d\n', "got '7' in rows 0 and 3"),
        ('7,a\n,b\n9,c\n', "Column 'item' .* row 1"),
    ],
)
def test_bad_rows(rows, says, tmp_path):
    path = tmp_path / 'items.csv'
    path.write_text(f'item,title\n{rows}')
    data = make_data()
    with pytest.raises(ValueError, match=says) as caught:
        attach_texts(data, path)
    assert 'items.csv' in str(caught.value)
    assert 'text' not in data['item']


def test_missing_text_and_columns():
    table = pd.DataFrame({'item': [7], 'title': ['a']})
    data = attach_texts(make_data(), table, missing='nothing')
    assert data['item'].text == ['a', 'nothing', 'nothing']
    with pytest.raises(ValueError, match="exactly one column 'name'"):
        attach_texts(make_data(), table, name='name')
    with pytest.raises(ValueError, match='a column of texts besides'):
        attach_texts(make_data(), table[['item']])
