import gzip

import pandas as pd
import pytest

from pyg_darec.datasets import _read_table, attach_texts, from_table
from pyg_darec.datasets.reviews import read_reviews
from pyg_darec.graph import EDGE_TYPE

SWALLOWS = [
    'user,item,note\n1,a,fine\n1,b,"oops\n2,a,ok\n2,b,bad\n3,c,an "end" x\n',
    'user,item,note\n1,a,"x ""y"" z"\n1,b,"oops\n2,a,"fine" as ever\n3,c,\n',
    'note,user,item\nfine,1,a\n"oops,1,b\n"good",2,a\n',
]


@pytest.mark.parametrize('content', SWALLOWS)
@pytest.mark.parametrize('sep', [',', '\t', '\x1f'])
@pytest.mark.parametrize('suffix', ['', '.gz'])
def test_mark_without_a_partner(tmp_path, content, sep, suffix):
    path = tmp_path / f'a.csv{suffix}'
    content = content.replace(',', sep).encode()
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(ValueError, match=r'mark without .* in line [34] or'):
        from_table(path, sep=sep)


def test_lines_are_counted_as_editors_do(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_bytes(b'user,item,n\r\n\r\n1,a,"x\r\n\r\n2,a,"y\r\n')
    with pytest.raises(ValueError, match='in line 3 or 5') as info:
        from_table(path)
    assert "(got '2,a,\"y' in line 5)" in str(info.value)


QUOTED = (
    'user,item,text\n'
    '1,a,"Good.\n\nSays ""yes"", she, me""\n"\n'
    '1,b,5" and "more\n'
    '2,a,"""\n"""\n'
    '2,b,""\n'
)


@pytest.mark.parametrize('sep', ',\t')
def test_texts_of_several_lines(tmp_path, sep):
    path = tmp_path / 'a.csv'
    path.write_text(QUOTED.replace(',', sep))
    assert from_table(path, sep=sep)[EDGE_TYPE].edge_index.size(1) == 4
    reviews = read_reviews(path, sep=sep)
    assert [user for user, _, _ in reviews] == [1, 1, 2, 2]
    assert reviews[2] == (2, 'a', '"\n"')
    (tmp_path / 'items.csv').write_text('item,text\na,"x\ny"\nb,"""z"""\n')
    data = attach_texts(from_table(path, sep=sep), tmp_path / 'items.csv')
    assert data['item'].text == ['x\ny', '"z"']


def test_marks_on_one_line_may_be_careless(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('user,item,text\n1,a,"quoted" word\n2,a,5" pipe\n')
    assert from_table(path)['user'].num_nodes == 2


@pytest.mark.parametrize('suffix', ['csv', 'parquet'])
def test_other_columns_are_not_kept(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(_read_table, '_CHUNK', 2)
    frame = pd.DataFrame(
        {'x': 'long', 'user': [3, 1, 2], 'y': 1.5, 'item': list('abc')}
    )
    path = tmp_path / f'a.{suffix}'
    write = frame.to_csv if suffix == 'csv' else frame.to_parquet
    write(path, index=False)
    ids = ('user', 'item')
    table, _ = _read_table.read_table(path, ids, None, columns=ids)
    pd.testing.assert_frame_equal(
        table.astype(object), frame[list(ids)].astype(object)
    )
    with pytest.raises(ValueError, match=r"'when'.*\['x', 'user', 'y', 'item"):
        from_table(path, time='when')


def test_rows_that_are_too_long_are_refused_all_the_same(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('user,title,item\n1,x,a\n2,Kettle, red,b\n')
    with pytest.raises(ValueError, match='Expected 3 fields in line 3, saw 4'):
        from_table(path)


@pytest.mark.parametrize(
    ('texts', 'values'),
    [
        (['4', '5.5', '1e1'], [4, 5.5, 10]),
        (['True', 'false', 'TRUE'], [1, 0, 1]),
    ],
)
def test_numbers_of_all_chunks_are_of_one_type(
    tmp_path, monkeypatch, texts, values
):
    monkeypatch.setattr(_read_table, '_CHUNK', 1)
    path = tmp_path / 'a.csv'
    rows = [f'{n},a,{text}\n' for n, text in enumerate(texts)]
    path.write_text('user,item,stars\n' + ''.join(rows))
    data = from_table(path, rating='stars')
    assert data[EDGE_TYPE].rating.tolist() == values


def test_folder_of_parts(tmp_path):
    """As Spark writes one, with notes of its own."""
    folder = tmp_path / 'orders.parquet'
    folder.mkdir()
    frame = pd.DataFrame({'user': [3, 1, 2], 'item': list('aba')})
    for n in range(3):
        part = folder / f'part-0000{n}-5ca1ab1e.snappy.parquet'
        frame.iloc[n : n + 1].to_parquet(part, index=False)
    for name in ('_SUCCESS', '._SUCCESS.crc', '.part-00000.parquet.crc'):
        (folder / name).write_bytes(b'')
    data = from_table(folder)
    assert data['user'].id == [1, 2, 3]
    assert data[EDGE_TYPE].edge_index.tolist() == [[0, 1, 2], [1, 0, 0]]
    part.write_bytes(b'PAR1')
    with pytest.raises(ValueError, match=r"orders.parquet' is.*part-0000"):
        from_table(folder)


def test_folder_of_other_files(tmp_path):
    (tmp_path / 'part-00000.csv').write_text('user,item\n1,a\n')
    with pytest.raises(ValueError, match=r"a folder.*\(got no '\*\.parquet'"):
        from_table(tmp_path)
