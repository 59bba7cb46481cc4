"""Whatever bytes a file consists of: a graph, or an error that names it."""

from contextlib import contextmanager

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.datasets import attach_texts, from_table
from pyg_darec.graph import EDGE_TYPE

WHOLE = (
    'user,item,time,text\n'
    '1,ä,2020-01-01,"one, two"\n'
    '2,b,2020-01-02,"a ""quoted"" word"\n'
    '2,ä,2020-01-03 10:00:00,日本語 🎁\n'
).encode()
PIECES = st.sampled_from(
    [
        *(b',', b';', b'"', b"'", b'\n', b'\r', b'\t', b'\0', b'\xff', b'\\'),
        *(b'\xef\xbb\xbf', '\u202e'.encode(), b'nan', b'1e999', b'-', b'user'),
    ]
)


@contextmanager
def naming(name):
    """Lets nothing pass but an error that names a file."""
    refused = []
    try:
        yield refused
    except ValueError as error:
        refused.append(str(error))
        assert name in refused[0]


@st.composite
def damaged(draw):
    """The file with bytes cut out, put in, doubled."""
    raw = WHOLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        stop = draw(st.integers(start, min(start + 12, len(raw))))
        middle = draw(PIECES | st.just(raw[start:stop] * 2) | st.binary())
        raw = raw[:start] + middle + raw[stop:]
    return raw


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz')


@settings(max_examples=300)
@given(raw=damaged() | st.binary(max_size=80), time=st.booleans())
def test_interactions(folder, raw, time):
    path = folder / 'orders.csv'
    path.write_bytes(raw)
    with naming('orders.csv') as refused:
        data = from_table(path, time='time' if time else None)
    if refused:
        return
    store = data[EDGE_TYPE]
    assert 0 < store.edge_index.size(1) <= raw.count(b'\n') + raw.count(b'\r')
    for row, kind in enumerate(('user', 'item')):
        ids = data[kind].id
        assert len(ids) == len(set(ids)) == data[kind].num_nodes
        # No node without an interaction comes of a table of interactions.
        assert set(store.edge_index[row].tolist()) == set(range(len(ids)))
        assert all(str(value).strip() for value in ids)


@settings(max_examples=300)
@given(raw=damaged() | st.binary(max_size=80))
def test_texts(folder, raw):
    (folder / 'orders.csv').write_bytes(WHOLE)
    path = folder / 'products.csv'
    path.write_bytes(raw)
    data = from_table(folder / 'orders.csv')
    before = dict(data['item'].items())
    with naming('products.csv') as refused:
        attach_texts(data, path, text=['text'])
    if refused:
        assert dict(data['item'].items()) == before  # nothing half done
        return
    assert [len(data['item'][key]) for key in ('name', 'text')] == [2, 2]
    assert all(data['item'].text)


TEXTS = {
    'long': 'word ' * (10 * 2**20 // 5),
    'emoji': '👩\u200d👩\u200d👧 🏳️\u200d🌈',
    'scripts': 'العربية עברית 中文 हिन्दी ไทย ქართული',
    'controls': 'a\x01b\x1b[31mc\x7f\u202ed\ufeffe',
    'lines': 'a\nb\r\nc',
    'quotes': '"a", \'b\'; \\"c\\"',
    'formula': '=HYPERLINK("http://x")',
}


def test_texts_of_any_kind_are_kept(tmp_path):
    frame = pd.DataFrame({'item': list(TEXTS), 'text': list(TEXTS.values())})
    frame.to_csv(tmp_path / 'products.csv', index=False)
    pairs = pd.DataFrame({'user': range(len(TEXTS)), 'item': list(TEXTS)})
    data = from_table(pairs)
    attach_texts(data, tmp_path / 'products.csv', text=['text'])
    kept = dict(zip(data['item'].id, data['item'].text, strict=True))
    assert kept == TEXTS | {'long': TEXTS['long'].strip()}
