import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pyg_darec.profiles.parquet import merge_columns, read_columns

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    'kind',
    [
        pa.list_(pa.float32()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float32(), 2),
        pa.list_(pa.float16()),
    ],
    ids=str,
)
def test_lists_of_every_kind_in_several_row_groups(tmp_path, kind):
    path = tmp_path / 'x.parquet'
    table = pa.table({'x': pa.array(ROWS, kind)})
    pq.write_table(table, path, row_group_size=2)
    assert read_columns(path)['x'].tolist() == ROWS


def test_rows_that_differ_stay_a_list(tmp_path):
    path = tmp_path / 'x.parquet'
    rows = [[1.0], None, [2.0, 3.0]]
    pq.write_table(pa.table({'x': rows}), path)
    assert read_columns(path)['x'] == rows


def test_missing_number_in_a_list_is_nan(tmp_path):
    path = tmp_path / 'x.parquet'
    pq.write_table(pa.table({'x': [[1.0, None], [2.0, 3.0]]}), path)
    x = read_columns(path)['x']
    assert np.isnan(x).tolist() == [[False, True], [False, False]]


def test_columns_are_merged_unless_one_is_a_matrix():
    a, b = np.arange(3.0), np.ones(3)
    merged = merge_columns({'x10': a, 'x9': b}, 'It')['']
    assert merged.tolist() == np.stack([b, a], 1).tolist()
    for names in ('01', ('x0_emb', 'x1_emb'), ('v2_0', 'v2_1')):
        columns = dict(zip(names, (a, b), strict=True))
        assert merge_columns(columns, 'It')[''].shape == (3, 2)
    columns = {'a': a, 'x': np.ones((3, 2))}
    assert merge_columns(columns, 'It') is columns
    with pytest.raises(ValueError, match=r"Column 'x1' of It .*dtype int64"):
        merge_columns({'x0': a, 'x1': np.arange(3)}, 'It')
    # Ids with gaps among them, and features of other kinds.
    for other in ('product', 'popularity', 'id7'):
        with pytest.raises(ValueError, match=f"'{other}' of It is no dim"):
            merge_columns({other: 100 * a, 'x0': a, 'x1': b}, 'It')
