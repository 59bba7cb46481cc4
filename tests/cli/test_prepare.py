from pathlib import Path

import pytest
from cli.conftest import PREPARE, run

from pyg_darec.cli.main import main
from pyg_darec.datasets.folder import load_data


def test_prepare(shop: Path, capsys) -> None:
    run(*PREPARE, '--split', 'leave_last', '--k-core', '5')
    data = load_data('shop')
    store = data['user', 'rates', 'item']
    assert data['user'].num_nodes == 45
    assert data['user'].id[:2] == [1000, 1001]
    assert data['item'].name[0] == 'Blue mug no. 0, 🎁'
    assert data['item'].text == data['item'].name
    assert store.test_edge_label_index.size(1) > 30
    assert store.time.size(0) == store.edge_index.size(1)
    assert capsys.readouterr().out.startswith('shop: BipartiteGraph(')


def test_items_without_a_text_are_told(shop: Path, capsys) -> None:
    path = Path('products.csv')
    path.write_text('\n'.join(path.read_text('utf-8').splitlines()[:-2]))
    run(*PREPARE, '--missing', '')
    assert (
        "2 of 36 items have no text in the table, the first of them 'P34'"
        in (capsys.readouterr().out)
    )


def test_without_texts(shop: Path) -> None:
    run('prepare', 'orders.csv', 'shop', '--user', 'customer', '--item=product')
    assert 'text' not in load_data('shop')['item']


BAD = {
    'separator': ('customer;product;date\n1;a;2024-01-01\n', "--sep ';'"),
    'column': ('customer,thing\n1,a\n', "exactly one column 'product'"),
    'no rows': ('customer,product,date\n', '0 rows'),
    'empty': ('', 'No columns to parse'),
    'quote': ('customer,product,date\n1,"a,2024-01-01\n2,b\n', 'EOF inside'),
    'missing id': ('customer,product,date\n1,a,2024\n,b,2024\n', 'row 1'),
    'time': ('customer,product,date\n1,a,2024\n1,b,\n', "'date'"),
    'encoding': (b'customer,product,date\n1,\xff\xfe,2024\n', 'UTF-8'),
    'more values': ('customer,product,date\n1,a,2024,5,6\n', 'orders.csv'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_orders(case: str, shop: Path, capsys) -> None:
    run(*PREPARE)
    before = {p: p.read_bytes() for p in Path('shop').iterdir()}
    capsys.readouterr()
    content, says = BAD[case]
    raw = content if isinstance(content, bytes) else content.encode()
    Path('orders.csv').write_bytes(raw)
    assert main(PREPARE) == 1
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert "'orders.csv'" in err
    assert says in err
    assert {p: p.read_bytes() for p in Path('shop').iterdir()} == before


GOOD = {
    'bom': b'\xef\xbb\xbf%s',
    'windows line ends': b'%s',
    'duplicates': b'%s',
}


@pytest.mark.parametrize('case', GOOD)
def test_harmless_oddities(case: str, shop: Path) -> None:
    run(*PREPARE)
    before = load_data('shop')
    path = Path('orders.csv')
    raw = path.read_bytes()
    if case == 'bom':
        raw = b'\xef\xbb\xbf' + raw
    elif case == 'windows line ends':
        raw = raw.replace(b'\n', b'\r\n')
    else:
        raw += b'\n' + raw.split(b'\n', 1)[1]
    path.write_bytes(raw)
    run(*PREPARE)
    after = load_data('shop')
    key = 'user', 'rates', 'item'
    assert after[key].edge_index.equal(before[key].edge_index)
    assert after['user'].id == before['user'].id


def test_bad_texts(shop: Path, capsys) -> None:
    lines = Path('products.csv').read_text().splitlines()
    Path('products.csv').write_text('\n'.join([*lines[:-1], 'P35,""']))
    assert main(PREPARE) == 1
    err = capsys.readouterr().err
    assert "'products.csv' has no text for 1 of 36 nodes" in err
    assert "'P35'" in err
    assert not Path('shop').exists()
    run(*PREPARE, '--missing', 'unknown')
    assert load_data('shop')['item'].text[-1] == 'unknown'
    assert load_data('shop')['item'].name[-1] == 'P35'


def test_another_folder_is_not_touched(shop: Path, capsys) -> None:
    Path('shop').mkdir()
    Path('shop/mine.txt').write_text('mine')
    assert main(PREPARE) == 1
    assert 'holds other files' in capsys.readouterr().err
    assert [p.name for p in Path('shop').iterdir()] == ['mine.txt']


def test_what_was_written_of_earlier_data_is_told(shop: Path, capsys) -> None:
    run(*PREPARE)
    assert 'language model' not in capsys.readouterr().out
    Path('shop/profiles').mkdir()
    Path('shop/profiles/item.jsonl').write_text('')
    run(*PREPARE)
    assert "item.jsonl; run 'profile' again" in capsys.readouterr().out


@pytest.mark.parametrize('split', ['leave_last', 'temporal'])
def test_split_by_time_without_one(shop: Path, capsys, split: str) -> None:
    words = ['prepare', 'orders.csv', 'other', '--user', 'customer']
    assert main([*words, '--item', 'product', '--split', split]) == 1
    assert f"'{split}' needs the column of times" in capsys.readouterr().err
    assert not Path('other').exists()


def test_two_separators(shop: Path, capsys) -> None:
    raw = Path('orders.csv').read_text()
    Path('orders.csv').write_text(raw.replace(',', ';'))
    assert main([*PREPARE, '--sep', ';']) == 1
    err = capsys.readouterr().err
    assert "'products.csv' looks as if a comma separates" in err
    assert "pass --items-sep ','" in err
    run(*PREPARE, '--sep', ';', '--items-sep', ',')
    names = load_data('shop')['item'].name
    # Alone, '--sep' is of both files.
    raw = Path('products.csv').read_text(encoding='utf-8')
    raw = raw.replace('product,', 'product;').replace(',"', ';"')
    Path('products.csv').write_text(raw, encoding='utf-8')
    run(*PREPARE, '--sep', ';')
    assert load_data('shop')['item'].name == names
