import shutil
from pathlib import Path

import pytest
import torch
from cli.conftest import PREPARE, run
from cli.shop import MODEL

from pyg_darec.cli.main import main
from pyg_darec.datasets.folder import load_data
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.io.lock import lock_folder
from pyg_darec.profiles import EmbeddingStore, TfidfEncoder, hash_split
from pyg_darec.transforms import HoldOutNodes


def test_sentence_transformers(shop: Path) -> None:
    run(*PREPARE)
    run('encode', 'shop', '--encoder', str(MODEL), '--normalize')
    data = load_data('shop')
    assert data['item'].profile == data['item'].name
    # Only what the user has in the training part.
    bought = data['user', 'rates', 'item'].edge_index
    names = {data['item'].name[i] for i in bought[1][bought[0] == 0]}
    profile = data['user'].profile[0]
    assert all(name in profile for name in names)
    assert profile.count('no. ') == len(names)
    for node_type in ('user', 'item'):
        x = data[node_type].llm_x
        assert x.shape == (data[node_type].num_nodes, 384)
        assert torch.allclose(x.norm(dim=1), torch.ones(len(x)), atol=1e-5)
    store = EmbeddingStore('shop/embeddings/user')
    assert store.manifest.split == hash_split(data)
    # Mugs are nearer to mugs than to lamps.
    cosine = data['item'].llm_x @ data['item'].llm_x.t()
    assert cosine[0, 3] > cosine[0, 1]


def test_items_without_a_text(shop: Path, capsys) -> None:
    path = Path('products.csv')
    *lines, _ = path.read_text(encoding='utf-8').splitlines()
    path.write_text('\n'.join(lines), encoding='utf-8')
    assert main(PREPARE) == 1
    assert "'missing'" in capsys.readouterr().err
    run(*PREPARE, '--missing', '')
    run('profile', 'shop', 'chat', '--base-url=http://a', '--dry-run')
    assert '35 to ask for' in capsys.readouterr().out
    for _ in range(2):
        run('encode', 'shop', '--encoder', 'tfidf')
        assert '1 empty texts of 36' in capsys.readouterr().err
    data = load_data('shop')
    assert data['item'].profile[35] == ''
    zero = (data['item'].llm_x == 0).all(dim=1)
    assert zero.nonzero().tolist() == [[35]]
    assert (data['user'].llm_x != 0).any(dim=1).all()


def no_call(self, texts):
    raise AssertionError('Nothing is left to encode.')


def test_goes_on_and_begins_anew(shop: Path, monkeypatch, capsys) -> None:
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', 'tfidf', '--dim']
    run(*encode, '8')
    before = load_data('shop')
    with monkeypatch.context() as patch:
        patch.setattr(TfidfEncoder, '__call__', no_call)
        run(*encode, '8')
    assert load_data('shop')['item'].llm_x.equal(before['item'].llm_x)
    capsys.readouterr()
    assert main([*encode, '4']) == 1
    assert 'overwrite' in capsys.readouterr().err
    assert load_data('shop')['item'].llm_x.equal(before['item'].llm_x)
    run(*encode, '4', '--overwrite')
    assert load_data('shop')['user'].llm_x.size(1) == 4


@pytest.mark.parametrize('name', ['embeddings.npy', 'manifest.json'])
def test_damaged_embeddings_are_made_anew(shop: Path, name, capsys) -> None:
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', 'tfidf']
    run(*encode)
    before = load_data('shop')
    path = Path('shop/embeddings/item') / name
    path.write_bytes(path.read_bytes()[:-100])
    assert main(['train', 'shop', 'runs/shop', '--epochs', '1']) == 1
    assert str(path) in capsys.readouterr().err
    assert not Path('runs').exists()
    run(*encode)
    assert load_data('shop')['item'].llm_x.equal(before['item'].llm_x)


def test_what_cannot_be_encoded(shop: Path, capsys) -> None:
    run('prepare', 'orders.csv', 'shop', '--user=customer', '--item=product')
    assert main(['encode', 'shop', '--encoder', 'tfidf']) == 1
    assert "run 'prepare' with a table" in capsys.readouterr().err
    run(*PREPARE)
    assert main(['encode', 'shop', '--encoder', './no-such-model']) == 1
    assert "'./no-such-model' can be loaded" in capsys.readouterr().err
    assert main(['encode', 'shop', '--encoder', str(MODEL), '--dim=9']) == 1
    assert "'dim' is for an endpoint" in capsys.readouterr().err


def test_a_failure_leaves_what_was_there(shop: Path, monkeypatch) -> None:
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', 'tfidf', '--dim']
    run(*encode, '8')
    before, embed = load_data('shop'), TfidfEncoder.__call__
    asked = []

    def fail(self, texts):
        asked.extend(texts)
        if before['user'].profile[0] in texts:
            raise ValueError('no more')
        return embed(self, texts)

    for _ in range(2):
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(TfidfEncoder, '__call__', fail)
            assert main([*encode, '4', '--overwrite']) == 1
        assert load_data('shop')['item'].llm_x.equal(before['item'].llm_x)
        run('info', 'shop')
    # Items were done the first time, and are not asked for again.
    assert set(asked) <= set(before['user'].profile)
    # The one at fault is asked once, too.
    assert asked.count(before['user'].profile[0]) == 1
    run(*encode, '4', '--overwrite')
    assert load_data('shop')['user'].llm_x.size(1) == 4
    assert {path.name for path in Path('shop/embeddings').iterdir()} == {
        'item',
        'user',
    }
    # Another attempt was begun with other settings and given up.
    with monkeypatch.context() as patch:
        patch.setattr(TfidfEncoder, '__call__', fail)
        assert main([*encode, '5', '--overwrite']) == 1
    run(*encode, '6', '--overwrite')
    assert load_data('shop')['item'].llm_x.size(1) == 6


def test_texts_of_items_outlast_a_split(shop: Path, monkeypatch) -> None:
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', str(MODEL)]
    run(*encode)
    data = load_data('shop')
    HoldOutNodes('user')(data)
    assert EmbeddingStore('shop/embeddings/item').manifest.split is None
    assert EmbeddingStore('shop/embeddings/user').manifest.split is not None
    run(*PREPARE, '--seed', '5')
    run(*encode, '--overwrite')
    assert load_data('shop')['item'].llm_x.equal(data['item'].llm_x)
    assert not load_data('shop')['user'].llm_x.equal(data['user'].llm_x)


def test_overwriting_damage_and_what_a_kill_left(shop: Path) -> None:
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', 'tfidf', '--dim']
    run(*encode, '8')
    folder = Path('shop/embeddings/item')
    before = load_data('shop')['item'].llm_x
    (folder / 'manifest.json').unlink()
    (folder / 'journal.log').write_text('xx\n')
    assert main([*encode, '8']) == 1
    run(*encode, '8', '--overwrite')
    assert load_data('shop')['item'].llm_x.equal(before)
    # Killed after the old one was moved away.
    shutil.copytree(folder, folder.with_name('.item.new'))
    folder.rename(folder.with_name('.item.old'))
    run(*encode, '8')
    assert load_data('shop')['item'].llm_x.equal(before)
    assert {p.name for p in folder.parent.iterdir()} == {'item', 'user'}


def test_prepare_while_it_encodes(shop: Path, capsys) -> None:
    """It would put back the graph that it began with."""
    run(*PREPARE)
    before = load_data('shop')
    with lock_folder('shop'):
        assert main([*PREPARE, '--seed', '7']) == 1
        assert main(['encode', 'shop', '--encoder', 'tfidf']) == 1
    messages = capsys.readouterr().err.splitlines()
    assert [m.split(';')[0] for m in messages] == 2 * [
        "pyg-darec: error: 'shop' is being written by another process"
    ]
    edge_index = load_data('shop')[EDGE_TYPE].edge_index
    assert edge_index.equal(before[EDGE_TYPE].edge_index)


def test_stores_behind_links(shop: Path) -> None:
    """On another disk, say, where they stay."""
    run(*PREPARE)
    encode = ['encode', 'shop', '--encoder', 'tfidf', '--dim']
    run(*encode, '8')
    link, disk = Path('shop/embeddings/item'), Path('disk')
    link.rename(disk)
    link.symlink_to(disk.resolve())
    run(*encode, '6', '--overwrite')
    assert link.is_symlink()
    assert {p.name for p in link.parent.iterdir()} == {'item', 'user'}
    assert load_data('shop')['item'].llm_x.size(1) == 6


def test_embeddings_that_are_gone(shop: Path, capsys) -> None:
    run(*PREPARE)
    run('encode', 'shop', '--encoder', 'tfidf')
    shutil.rmtree('shop/embeddings/item')
    with pytest.raises(FileNotFoundError, match=r'embeddings/item.*encode'):
        load_data('shop')
    assert main(['info', 'shop']) == 1
    assert "embeddings of node type 'item'" in capsys.readouterr().err


def test_a_width_of_zero(shop: Path, capsys) -> None:
    run(*PREPARE)
    assert main(['encode', 'shop', '--encoder', 'tfidf', '--dim', '0']) == 1
    assert "'dim'" in capsys.readouterr().err
