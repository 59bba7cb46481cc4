import builtins
import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.datasets import (
    _table_checks,
    attach_texts,
    from_table,
    load_data,
    save_data,
)
from pyg_darec.datasets.reviews import read_reviews
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.transforms import SplitInteractions

FRAME = pd.DataFrame(
    {
        'user': ['b', 'a', 'b', 'b', 'a'],
        'item': [30, 10, 20, 30, 20],
        'time': [5, 4, 3, 2, 1],
        'stars': [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


def test_pairs_and_ids():
    data = from_table(FRAME)
    assert data['user'].id == ['a', 'b']
    assert data['item'].id == [10, 20, 30]
    assert data['user'].num_nodes == 2
    assert data['item'].num_nodes == 3
    expected = [[0, 0, 1, 1], [0, 1, 1, 2]]
    assert data[EDGE_TYPE].edge_index.tolist() == expected
    assert list(data[EDGE_TYPE].keys()) == ['edge_index']
    data.validate()


def test_earliest_of_several_counts():
    data = from_table(FRAME, time='time', rating='stars')
    assert data[EDGE_TYPE].time.tolist() == [4, 1, 3, 2]
    assert data[EDGE_TYPE].time.dtype == torch.long
    assert data[EDGE_TYPE].rating.tolist() == [2, 5, 3, 4]
    assert data[EDGE_TYPE].rating.dtype == torch.float
    without_time = from_table(FRAME, rating='stars')
    assert without_time[EDGE_TYPE].rating.tolist() == [2, 5, 3, 1]


def test_min_rating_drops_nodes_too():
    data = from_table(FRAME, rating='stars', min_rating=3)
    assert data['item'].id == [20, 30]
    assert data[EDGE_TYPE].rating.tolist() == [5, 3, 4]


def test_other_names():
    edge_type = ('reader', 'borrows', 'book')
    frame = FRAME.rename(columns={'user': 'who', 'item': 'what'})
    data = from_table(frame, 'who', 'what', edge_type=edge_type)
    assert data.edge_types == [edge_type]
    assert data['book'].id == [10, 20, 30]


def test_the_table_stays_as_it_is():
    before = FRAME.copy()
    from_table(FRAME, time='time', rating='stars', min_rating=2)
    pd.testing.assert_frame_equal(FRAME, before)


def test_index_of_the_table_is_not_used():
    data = from_table(FRAME.set_index(pd.Index([7, 7, 1, 0, 7])))
    assert data[EDGE_TYPE].num_edges == 4


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=2).filter(str.strip),
            st.integers(0, 9),
            st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=30,
        unique_by=(lambda row: row[:2], lambda row: row[2]),
    ),
    st.randoms(use_true_random=False),
)
def test_is_the_table_in_any_order(rows, random):
    def read(rows):
        frame = pd.DataFrame(rows, columns=['user', 'item', 'time'])
        return from_table(frame, time='time')

    data = read(rows)
    user, item = data['user'].id, data['item'].id
    store = data[EDGE_TYPE]
    pairs = zip(*store.edge_index.tolist(), store.time.tolist(), strict=True)
    assert {(user[u], item[i], t) for u, i, t in pairs} == set(rows)
    random.shuffle(rows)
    again = read(rows)
    assert again['user'].id == user
    assert torch.equal(again[EDGE_TYPE].edge_index, store.edge_index)
    assert torch.equal(again[EDGE_TYPE].time, store.time)


UTC = pd.Timestamp('2020-01-01 12:00')
DAYS = ['2019-12-31', '2020-01-01']


@pytest.mark.parametrize(
    ('times', 'seconds'),
    [
        (pd.Series([UTC, UTC + pd.Timedelta('90s')]), [0, 90]),
        (pd.Series([UTC, UTC]).dt.tz_localize('UTC'), [0, 0]),
        (pd.Series([UTC, UTC]).dt.tz_localize('Europe/Berlin'), [-3600] * 2),
        (pd.Series([UTC, UTC]).astype('datetime64[ns]'), [0, 0]),
        (['2020-01-01 12:00', '2020-01-01 12:01'], [0, 60]),
        ([datetime.datetime(2020, 1, 1, 12, s) for s in (0, 1)], [0, 60]),
        ([UTC.timestamp(), UTC.timestamp() + 1.9], [0, 1]),
        (pd.array([int(UTC.timestamp())] * 2, dtype='Int64'), [0, 0]),
        (pd.Series([int(UTC.timestamp())] * 2, dtype=object), [0, 0]),
        (pd.Categorical([int(UTC.timestamp()), UTC.timestamp() + 1]), [0, 1]),
        (pd.Categorical([UTC, UTC]), [0, 0]),
        ([str(int(UTC.timestamp())), f'{UTC.timestamp() + 1.5}'], [0, 1]),
    ],
)
def test_times(times, seconds):
    frame = pd.DataFrame({'user': [1, 1], 'item': [1, 2], 'time': times})
    time = from_table(frame, time='time')[EDGE_TYPE].time
    assert (time - int(UTC.timestamp())).tolist() == seconds


@pytest.mark.parametrize(
    ('ids', 'expected'),
    [
        ([3.0, 1.0], [1, 3]),  # what a column with gaps was read as
        ([0.5, 0.25], ['0.25', '0.5']),
        ([True, False], ['False', 'True']),
        (np.array([2**64 - 1, 5], dtype=np.uint64), [5, 2**64 - 1]),
        (pd.array([3, 1], dtype='Int8'), [1, 3]),
        (pd.array([3, 1], dtype='uint8[pyarrow]'), [1, 3]),
        (pd.array(['\uff42', '😀'], dtype='str'), ['\uff42', '😀']),
        (np.array([3, 1], dtype=np.uint8), [1, 3]),
        (pd.Categorical(['b', 'a']), ['a', 'b']),
        (pd.array(['b', 'a'], dtype='string'), ['a', 'b']),
        ([('b', 1), ('a', 2)], ["('a', 2)", "('b', 1)"]),
        ([Path('b'), Path('a')], ['a', 'b']),
        ([UUID(int=2), UUID(int=1)], [str(UUID(int=n)) for n in (1, 2)]),
        ([UTC, UTC - pd.Timedelta('1D')], [f'{day} 12:00:00' for day in DAYS]),
        ([datetime.date(2020, 1, 1), datetime.date(2019, 12, 31)], DAYS),
        ([2**60, 2**60 + 1], [2**60, 2**60 + 1]),
        (np.array([np.int64(2), 1], dtype=object), [1, 2]),
        (np.array([b'b', 'ä'.encode()], dtype=object), ['b', 'ä']),
        ([b'\xff', b'\xfe'], ["b'\\xfe'", "b'\\xff'"]),
        (pd.array([3.0, 1.0], dtype='double[pyarrow]'), [1, 3]),
    ],
    ids=str,
)
def test_any_hashable_id(ids, expected):
    data = from_table(pd.DataFrame({'user': ids, 'item': [1, 1]}))
    assert data['user'].id == expected
    assert {type(i) for i in data['user'].id} == {type(expected[0])}


@settings(max_examples=50)
@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1)
    | st.lists(
        st.text(st.characters(exclude_categories=['Cs'])).filter(str.strip),
        min_size=1,
    ),
    dtypes=st.sampled_from(
        [('int64', 'str'), ('Int64', 'string'), ('int64[pyarrow]', 'string')]
    ),
)
def test_ids_are_the_same_whatever_the_type_of_the_column(ids, dtypes):
    def read(dtype):
        user = pd.Series(ids, dtype=dtype)
        frame = pd.DataFrame({'user': user, 'item': range(len(ids))})
        reviews = read_reviews(frame.assign(text=''))
        return from_table(frame), [review[0] for review in reviews]

    expected, expected_row = read(object)
    data, row = read(dtypes[isinstance(ids[0], str)])
    assert data['user'].id == expected['user'].id == sorted(set(ids))
    assert row == expected_row == ids
    assert {type(value) for value in row} == {type(ids[0])}
    pairs, expected_pairs = (d[EDGE_TYPE].edge_index for d in (data, expected))
    assert pairs.tolist() == expected_pairs.tolist()


def test_ids_of_one_type_are_not_looked_at_row_by_row(monkeypatch):
    def decode(value):
        raise AssertionError(f'was looked at: {value}')

    monkeypatch.setattr(_table_checks, 'decode', decode)
    frame = pd.DataFrame({'user': [2, 1], 'item': pd.array(['b', 'a'], 'str')})
    assert from_table(frame)['item'].id == ['a', 'b']


def test_ids_of_other_kinds_can_be_saved(tmp_path):
    ids = [UUID(int=1), UUID(int=2)]
    data = from_table(pd.DataFrame({'user': ids, 'item': DAYS}))
    save_data(data, tmp_path)
    assert load_data(tmp_path)['user'].id == [str(i) for i in ids]


class Vague(tuple):
    def __str__(self):
        return 'vague'


def test_different_ids_that_are_written_alike():
    frame = pd.DataFrame({'user': [Vague('a'), Vague('b')], 'item': [1, 1]})
    match = r"'user'.* convert them to texts .*\(got several 'vague'\)"
    with pytest.raises(ValueError, match=match):
        from_table(frame)
    same = pd.DataFrame({'user': [Decimal(1), Decimal('1.0')], 'item': [1, 2]})
    assert from_table(same)['user'].id == ['1']  # equal ids are one


def write(frame, path):
    if path.suffix == '.parquet':
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep='\t' if 'tsv' in path.name else ',')


@pytest.mark.parametrize(
    'name', ['a.csv', 'a.csv.gz', 'a.tsv', 'a.txt', 'a.parquet', 'A.CSV']
)
@pytest.mark.parametrize('as_type', [str, Path])
def test_files(tmp_path, name, as_type):
    write(FRAME, tmp_path / name)
    data = from_table(as_type(tmp_path / name), time='time', rating='stars')
    expected = from_table(FRAME, time='time', rating='stars')
    assert data.to_dict().keys() == expected.to_dict().keys()
    for node_type in ('user', 'item'):
        assert data[node_type].id == expected[node_type].id
    for key, value in expected[EDGE_TYPE].items():
        assert torch.equal(data[EDGE_TYPE][key], value)


def test_csv_ids_stay_as_they_are_written(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('user,item\n007,10\n7,9\n')
    data = from_table(path)
    assert data['user'].id == ['007', '7']
    assert data['item'].id == [9, 10]


def test_csv_with_byte_order_mark(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('user,item\nå,1\n', encoding='utf-8-sig')
    assert from_table(path)['user'].id == ['å']


def test_csv_with_other_separator(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('user;item\n1;2\n')
    assert from_table(path, sep=';')['item'].id == [2]
    with pytest.raises(ValueError, match=r"a semicolon .* pass sep=';'"):
        from_table(path)


def test_goes_on_to_the_transforms():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 20, (300, 2)), columns=['u', 'i'])
    data = SplitInteractions()(from_table(frame, 'u', 'i'))
    assert data[EDGE_TYPE].test_edge_label_index.size(1) > 0


def changed(**columns):
    return FRAME.assign(**columns)


@pytest.mark.parametrize(
    ('table', 'kwargs', 'message'),
    [
        (FRAME, {'user': 'who'}, r"'who'.*\['user', 'item', 'time'"),
        (FRAME, {'time': 'when'}, "'when'"),
        (FRAME, {'edge_type': ('a', 'b', 'a')}, 'two types of nodes'),
        (FRAME, {'min_rating': 3}, "'min_rating' needs .* 'rating'"),
        (FRAME, {'rating': 'stars', 'min_rating': 6}, 'min_rating=6'),
        (FRAME[:0], {}, 'got 0 rows'),
        (pd.concat([FRAME, FRAME], axis=1), {}, "exactly one column 'user'"),
        (changed(user=['a', None, 'b', 'b', 'a']), {}, "'user'.*in row 1"),
        (changed(item=[1, np.nan, 2, 3, 4]), {}, "'item'.*missing in 1 rows"),
        (changed(item=[1, '1', 2, 3, 4]), {}, "'item'.*several types.*int"),
        (changed(user=[[1]] * 5), {}, "'user'.*hashable.*list"),
        (
            changed(stars=[1, 2, np.nan, 4, 5]),
            {'rating': 'stars'},
            "'stars'.*missing in 1 rows.*row 2",
        ),
        (
            changed(stars=[1, 2, np.inf, 4, 5]),
            {'rating': 'stars'},
            "'stars'.*finite number.*row 2",
        ),
        (
            changed(stars=['1', '2', 'good', '4', '5']),
            {'rating': 'stars'},
            "'stars'.*number.*'good' in row 2",
        ),
        (
            changed(time=['2020-01-01', 'soon', '', '', '']),
            {'time': 'time'},
            "'time'.*'soon' in row 1",
        ),
        (
            changed(time=[1, 2, np.nan, 4, 5]),
            {'time': 'time'},
            "'time'.*missing",
        ),
        (changed(time=[1, 2, np.inf, 4, 5]), {'time': 'time'}, "'time'.*row 2"),
        (
            changed(time=[1, 2, 1e19, 4, 5]),
            {'time': 'time'},
            r"'time'.*below 2\*\*63.*1e\+19.* in row 2",
        ),
        (
            changed(time=np.array([1, 2**63, 3, 4, 5], dtype=np.uint64)),
            {'time': 'time'},
            "'time'.* in row 1",
        ),
        (changed(), {'item': 'user'}, "two columns .*'user' for both"),
    ],
)
def test_bad_tables(table, kwargs, message):
    with pytest.raises(ValueError, match=message) as info:
        from_table(table, **kwargs)
    assert '(got ' in str(info.value)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.csv', b'', 'No columns'),
        ('a.csv', b'user,item\n', 'got 0 rows'),
        ('a.csv', b'user,item\n1,2\n1,2,3\n', "separator ','"),
        ('a.csv', b'user,item\n1,2,3\n4,5,6\n', "separator ','"),
        ('a.csv', 'user,item\nå,1'.encode('latin-1'), 'UTF-8'),
        ('a.csv', b'user|item\n1|2\n', 'pass sep='),
        ('a.tsv', b'user,item\n1,2\n', "pass sep=','"),
        ('a.csv', b'1,2\n3,4\n', "column 'user'.*got \\['1', '2'\\]"),
        ('a.parquet', b'PAR1 and then nothing', 'not a complete Parquet'),
        ('a.xlsx', b'', 'pass the DataFrame'),
        ('a.csv', b'user,item,user\na,1,b\n', "exactly one column 'user'"),
        ('a.csv', b'user,item,\na,,b\n', "'item' .* missing in 1 rows"),
        ('a.csv.zip', b'no zip', 'not a table'),
        ('a.tsv', b'user\titem\n1\t"a\n2\tb\n3\t"c\n', 'no partner.* row 0'),
        ('a.csv.xz', b'no xz', 'not a table'),
        ('a.csv.bz2', b'no bz2', 'not a table'),
        ('a.csv.tar', b'no tar', 'not a table'),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        from_table(path)
    assert str(path) in str(info.value)


@pytest.mark.parametrize('read', [from_table, attach_texts, read_reviews])
def test_what_is_no_table(read):
    table = {'user': [1], 'item': [2], 'text': ['a']}
    data = () if read is not attach_texts else (from_table(FRAME),)
    with pytest.raises(TypeError, match=r"'table' needs .* \(got 'dict'\)"):
        read(*data, table)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.csv'):
        from_table(tmp_path / 'none.csv')


def test_without_pandas(monkeypatch):
    real = builtins.__import__

    def no_pandas(name, *args, **kwargs):
        if name.startswith('pandas'):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', no_pandas)
    with pytest.raises(ImportError, match='pip install pandas'):
        from_table('a.csv')


def test_dates_with_and_without_time_of_day():
    times = ['2020-01-01', '2020-01-01 00:01:30', '2020-01-01T00:00:05+00:00']
    frame = pd.DataFrame({'user': [1, 2, 3], 'item': 1, 'time': times})
    time = from_table(frame, time='time')[EDGE_TYPE].time
    assert (time - time[0]).tolist() == [0, 90, 5]


def test_whole_numbers_with_a_point(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_text('user,item\n17850.0,7\n13047.0,007\n')
    data = from_table(path)
    assert data['user'].id == [13047, 17850]
    assert data['item'].id == ['007', '7']


@pytest.mark.parametrize('content', [b'not gzip', b'\x1f\x8b\x08', None])
def test_damaged_compressed_table(tmp_path, content):
    path = tmp_path / 'x.csv.gz'
    if content is None:  # cut off
        FRAME.to_csv(path, index=False)
        content = path.read_bytes()[:-20]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.csv\.gz' is not a table"):
        from_table(path)


@pytest.mark.parametrize('sep', ['\t', '\\t', 'tab'])
def test_tab_as_it_is_typed(tmp_path, sep):
    path = tmp_path / 'x.csv'
    path.write_text('user\titem\na\t7\n')
    assert from_table(path, sep=sep)['item'].id == [7]


def test_what_looks_missing_is_an_id_but_no_number(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_text('user,item,stars,note\nNA,None,4,\nnull,nan,5,NA\n')
    data = from_table(path, rating='stars')
    assert data['user'].id == ['NA', 'null']
    assert data['item'].id == ['None', 'nan']
    assert data[EDGE_TYPE].rating.tolist() == [4, 5]
    path.write_text('user,item,stars\na,b,4\na,c,NA\n')
    with pytest.raises(ValueError, match=r"'stars' .* in 1 rows.*row 1"):
        from_table(path, rating='stars')


@pytest.mark.parametrize('sep', '/.-')
def test_days_and_months(sep):
    def read(*dates):
        dates = [date.replace('/', sep) for date in dates]
        frame = pd.DataFrame({'user': [1] * 2, 'item': [1, 2], 'time': dates})
        time = from_table(frame, time='time')[EDGE_TYPE].time
        return [str(t)[:10] for t in pd.to_datetime(time.tolist(), unit='s')]

    us = read('12/31/2010 8:26', '01/02/2011 9:10')
    assert us == ['2010-12-31', '2011-01-02']
    eu = read('01/02/2011', '31/12/2010')
    assert eu == ['2011-02-01', '2010-12-31']
    assert read('05/05/2011', '06/06/2011') == ['2011-05-05', '2011-06-06']
    with pytest.raises(ValueError, match=r"YYYY-MM-DD \(got '05.02.2024' in"):
        read('05/02/2024', '06/03/2024')
    with pytest.raises(ValueError, match='write dates as YYYY-MM-DD'):
        read('31/12/2010', '12/31/2010')


@pytest.mark.parametrize('dtype', [object, 'string'])
@pytest.mark.parametrize('blank', ['', '  '])
def test_ids_of_nothing(dtype, blank):
    """One user would have all orders of guests; a CSV file has none either."""
    ids = pd.Series(['a', blank, 'b', blank], dtype=dtype)
    table = pd.DataFrame({'user': ids, 'item': [1, 2, 3, 4]})
    with pytest.raises(ValueError, match=r"'user'.* missing in 2 rows.*row 1"):
        from_table(table)


@pytest.mark.parametrize(
    'rating',
    [
        pd.to_datetime(['2024-01-01'] * 5),
        pd.to_timedelta([1] * 5),
        np.full(5, 1 + 1j),
        np.full(5, 1e39),
    ],
)
def test_ratings_that_are_no_numbers(rating):
    table = FRAME.assign(stars=rating)
    with pytest.raises(ValueError, match="'stars'"):
        from_table(table, rating='stars')


def test_digits_of_other_scripts(tmp_path):
    (tmp_path / 'a.csv').write_text('user,item\n1\u0663,1\n13,2\n')
    data = from_table(tmp_path / 'a.csv')
    assert data['user'].id == ['13', '1\u0663']


@pytest.mark.parametrize('word', ['now', 'today', ' Today'])
def test_words_that_are_the_time_of_reading(word):
    table = FRAME.assign(time=['2024-01-01', word, *['2024-01-02'] * 3])
    with pytest.raises(ValueError, match=rf"'time'.*{word}.*row 1"):
        from_table(table, time='time')


def test_ids_that_floating_point_numbers_cannot_tell_apart():
    items = pd.Series([1780000000000000001, 1780000000000000002, None])
    frame = pd.DataFrame({'user': [1, 2, 3], 'item': items}).dropna()
    with pytest.raises(ValueError, match=r"'item'.*'Int64'.*in row 0"):
        from_table(frame)
    frame['item'] = pd.array([1780000000000000001, 1780000000000000002])
    assert len(from_table(frame)['item'].id) == 2


def test_months_are_no_seconds():
    times = ['12.2023', '11.2024']
    frame = pd.DataFrame({'user': [1, 1], 'item': [1, 2], 'time': times})
    with pytest.raises(ValueError, match=r"YYYY-MM-DD \(got '12.2023'"):
        from_table(frame, time='time')


def test_a_table_that_may_not_be_read(tmp_path, monkeypatch):
    # Permissions do not hold back a test that runs as root.
    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied', 'x.csv')

    (tmp_path / 'x.csv').write_text('user,item\n1,2\n')
    monkeypatch.setattr(pd, 'read_csv', refuse)
    with pytest.raises(PermissionError, match=r'x\.csv'):
        from_table(tmp_path / 'x.csv')


@pytest.mark.parametrize('as_text', [True, False])
def test_dates_of_digits(as_text):
    frame = pd.DataFrame({'user': [1, 1], 'item': [1, 2]})
    cast = str if as_text else int
    frame['time'] = [cast(20240131), cast(20240201)]
    data = from_table(frame, time='time')
    days = torch.tensor([0, 86_400]) + 1706659200
    assert torch.equal(data[EDGE_TYPE].time, days)
    for times in ([31122019, 1012020], [12312019, 1012020], [122019, 12020]):
        frame['time'] = list(map(cast, times))
        with pytest.raises(ValueError, match='without a mark'):
            from_table(frame, time='time')


def test_dates_of_digits_in_a_file(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_text('user,item,time\n1,1,01012020\n1,2,31122019\n')
    with pytest.raises(ValueError, match='without a mark'):
        from_table(path, time='time')
    path.write_text('user,item,time\n1,1,20240131\n1,2,20240201\n')
    time = from_table(path, time='time')[EDGE_TYPE].time
    assert time.tolist() == [1706659200, 1706659200 + 86_400]
