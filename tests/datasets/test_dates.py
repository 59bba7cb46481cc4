import itertools

import pandas as pd
import pytest

from pyg_darec.datasets import from_table
from pyg_darec.graph import EDGE_TYPE


def read(times):
    frame = pd.DataFrame({'user': 1, 'item': range(len(times)), 'time': times})
    time = from_table(frame, time='time')[EDGE_TYPE].time
    dates = pd.to_datetime(time.tolist(), unit='s')
    return [str(date) for date in dates]


@pytest.mark.parametrize(
    ('times', 'expected'),
    [
        (
            ['12/25/2020 10:00 PM', '01/02/2020 1:00 AM'],
            ['2020-12-25 22:00:00', '2020-01-02 01:00:00'],
        ),
        (
            ['12/25/2020', '01/02/2020 9:05 pm'],
            ['2020-12-25 00:00:00', '2020-01-02 21:05:00'],
        ),
        (
            ['25/12/2020 10:00 PM', '01/02/2020 01:00 AM'],
            ['2020-12-25 22:00:00', '2020-02-01 01:00:00'],
        ),
        (
            ['12/25/20', '01/02/69'],
            ['2020-12-25 00:00:00', '1969-01-02 00:00:00'],
        ),
        (
            ['25.12.2020', '1.2.2020 10:00:05.5'],
            ['2020-12-25 00:00:00', '2020-02-01 10:00:05'],
        ),
        (
            ['13-01-2020T00:00:00+02:00', '02-01-2020 00:00Z'],
            ['2020-01-12 22:00:00', '2020-01-02 00:00:00'],
        ),
        (
            ['24-1-5', '32-11-15 10:00'],
            ['2024-01-05 00:00:00', '2032-11-15 10:00:00'],
        ),
        (
            ['13. 02. 2024', '1 2 2024'],
            ['2024-02-13 00:00:00', '2024-02-01 00:00:00'],
        ),
        (
            ['2024/1/5 9:05 pm', '2024-11-05'],
            ['2024-01-05 21:05:00', '2024-11-05 00:00:00'],
        ),
        (
            ['Tue 01/02/2024', 'Sat 01/13/2024'],
            ['2024-01-02 00:00:00', '2024-01-13 00:00:00'],
        ),
        (
            ['240131', '010224'],  # no dates: seconds, as in a CSV file
            ['1970-01-03 18:42:11', '1970-01-01 02:50:24'],
        ),
    ],
)
def test_order_of_rows_does_not_matter(times, expected):
    pairs = zip(times, expected, strict=True)
    for rows in itertools.permutations(pairs):
        times, expected = map(list, zip(*rows, strict=True))
        assert read(times) == expected


@pytest.mark.parametrize(
    ('times', 'message'),
    [
        (['03/04/20', '01/02/20'], "can be read .* '03/04/20' in row 0"),
        (['05/05/2020', '01/02/2020 1:00 AM'], 'can be read .* in row 1'),
        (['12/25/2020', '25/12/2020'], "as YYYY-MM-DD .*'12/25/2020' in row 0"),
        (['25/12/2020', '31/02/2020'], "as YYYY-MM-DD .*'31/02/2020' in row 1"),
        (['12/25/2020', '13/25/2020'], "'13/25/2020' in row 1"),
        (['32/01/2020'], "'32/01/2020' in row 0"),
        (['24-01-31', '24-02-01'], "day or the year first.*'24-01-31' in row"),
        (['24/01/31 10:00', '24/02/01'], 'day or the year first'),
        (['24.01.31', '24.02.30'], 'day or the year first'),
        (['05/05/05', '05/05/20'], 'day or the month or the year.* in row 1'),
        (['01 02 2024', '03 02 2024'], 'day or the month first'),
        (['01. 02. 2024', '01,02,2024'], 'day or the month first'),
        (['at 01/02/2024', 'at 03/02/2024'], 'month or the day first'),
        (['2024-1-5', '2024-13-1'], "'2024-13-1' in row 1"),
        (['12:30', '2024-01-01'], "as YYYY-MM-DD .*'12:30' in row 0"),
        (['9:05 pm', '12:30Z'], "'9:05 pm' in row 0"),
        (['1 Jan', '2 Feb'], "'1 Jan' in row 0"),
        (['12/25/2020 22:00 EST'], "'12/25/2020 22:00 EST' in row 0"),
        (['12/25/2020 25:00'], "'12/25/2020 25:00' in row 0"),
        (['12/25/2020 13:00 PM'], "'12/25/2020 13:00 PM' in row 0"),
        (['12/25/2020', 'soon'], "'soon' in row 1"),
    ],
)
def test_what_is_no_date_or_two(times, message):
    with pytest.raises(ValueError, match=message):
        read(times)


@pytest.mark.parametrize(
    'times',
    [
        pd.period_range('2020-01', periods=2, freq='M'),
        pd.Series(pd.period_range('2020-01', periods=2), dtype=object),
        pd.to_timedelta([1, 2], unit='D'),
        pd.Series([1, 2]).astype('duration[s][pyarrow]'),
        [True, False],
    ],
    ids=str,
)
def test_what_is_no_point_in_time(times):
    with pytest.raises(ValueError, match=r"'time'.*points in time.*\(got the"):
        read(times)
