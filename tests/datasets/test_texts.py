import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

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
    attach_texts(data, table, text='kind', missing='?')
    assert data['item'].text == ['mug', '?', 'lamp']


@pytest.mark.parametrize(
    ('rows', 'says'),
    [
        ('7,a\n8,b\n', "no text for 1 of 3 .* first id '9'.*no row of that id"),
        ('7,a\n8,\n9,c\n', "first id '8'.*an empty row 1"),
        ('7,a\n8,b\n9,c\n7,d\n', "got '7' in rows 0 and 3"),
        ('7,a\n,b\n9,c\n', "Column 'item' .* row 1"),
        ('', 'at least one row'),
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
    attach_texts(data, table, text=['title', 'title'], missing='')
    assert data['item'].text == ['title: a', '', '']
    with pytest.raises(ValueError, match="exactly one column 'name'"):
        attach_texts(make_data(), table, name='name')
    with pytest.raises(ValueError, match='a column of texts besides'):
        attach_texts(make_data(), table[['item']])


def test_what_looks_missing_is_a_name(tmp_path):
    path = tmp_path / 'items.csv'
    path.write_text('item,title\n7,None\n8,N/A\n9,null\n')
    data = attach_texts(make_data(), path)
    assert data['item'].name == ['None', 'N/A', 'null']


def test_nullable_and_list_columns():
    table = pd.DataFrame(
        {
            'item': [7, 8, 9],
            'year': pd.array([1984, None, 2000], dtype='Int64'),
            'tags': [np.array(['a', 'b']), ['c'], None],
        }
    )
    data = attach_texts(make_data(), table)
    assert data['item'].name == ['1984', '8', '2000']
    texts = ['year: 1984\ntags: a, b', 'tags: c', 'year: 2000']
    assert data['item'].text == texts


@pytest.mark.parametrize(
    'ids', [[7.0, 8.0, 9.0], ['7.0', '8', '9.0'], [7, '8.0', 9.0]]
)
def test_whole_numbers_with_a_point(tmp_path, ids):
    table = pd.DataFrame({'item': ids, 'title': ['a', 'b', 'c']})
    assert attach_texts(make_data(), table)['item'].name == ['a', 'b', 'c']
    table = pd.DataFrame({'item': [*ids, 'x'], 'title': ['a', 'b', 'c', 'd']})
    table.to_csv(tmp_path / 'items.csv', index=False)
    data = attach_texts(make_data(), tmp_path / 'items.csv')
    assert data['item'].name == ['a', 'b', 'c']


def test_row_of_another_node():
    data = make_data()
    data['item'].id = ['7', '7.0', '9']
    table = pd.DataFrame({'item': ['7.0', '9.0'], 'title': ['a', 'b']})
    attach_texts(data, table, missing='nothing')
    assert data['item'].text == ['nothing', 'a', 'b']


def test_two_rows_of_no_node():
    data = make_data()
    ids, titles = [10, 7, 8, 9, 10], ['gone', 'a', 'b', 'c', 'for good']
    attach_texts(data, pd.DataFrame({'item': ids, 'title': titles}))
    assert data['item'].text == ['a', 'b', 'c']


def test_graph_without_ids():
    data, table = HeteroData(), pd.DataFrame({'item': [7], 'title': ['a']})
    with pytest.raises(ValueError, match=r"data\['item'\].id needs"):
        attach_texts(data, table)
    data['item'].num_nodes = 1
    with pytest.raises(ValueError, match=r"data\['item'\].id needs"):
        attach_texts(data, table)
    data['item'].id = torch.tensor([7])
    assert attach_texts(data, table)['item'].name == ['a']


def test_table_of_other_nodes():
    table = pd.DataFrame({'item': ['P1', 'P2'], 'title': ['x', 'y']})
    match = r"No id .* of the table .*\(got 'P1', where nodes have '7'\)"
    with pytest.raises(ValueError, match=match):
        attach_texts(make_data(), table, missing='Unknown.')


def test_bytes_are_text():
    columns = {'item': [b'7', b'8', b'9'], 'title': [b'x', b'y', b'z']}
    table = pd.DataFrame(columns)
    assert attach_texts(make_data(), table)['item'].text == ['x', 'y', 'z']
