import json
import re
from pathlib import Path

import pytest
from cli.conftest import PREPARE, run
from conformance.openai_server import OpenAIServer
from conformance.tiny_llm import save_parrot

from pyg_darec.cli.main import main
from pyg_darec.datasets.folder import load_data
from pyg_darec.profiles import ProfileStore

PROFILE = ['profile', 'shop', 'chat', '--base-url']


def test_dry_run(shop: Path, capsys) -> None:
    run(*PREPARE)
    run(*PROFILE, 'http://localhost:1/v1', '--dry-run', '--price', '1', '2')
    out = capsys.readouterr().out
    assert 'Blue mug no. 0, 🎁' in out
    assert '36 to ask for' in out
    assert '45 to ask for' in out
    assert 'to pay' in out
    assert not Path('shop/profiles').exists()


def test_separator_of_reviews(shop: Path, capsys) -> None:
    run(*PREPARE)
    Path('reviews.csv').write_text('user;item;text\n1;a;nice\n')
    url = 'http://localhost:1/v1'
    command = [*PROFILE, url, '--dry-run', '--reviews', 'reviews.csv']
    assert main(command) == 1
    assert "pass --sep ';'" in capsys.readouterr().err


def test_dry_run_counts_profiles_that_are_still_to_be_written(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """At full length, so that users cost no more than it says."""
    run(*PREPARE)
    words = ' '.join(['delightful'] * 60)
    answer = json.dumps({'profile': words, 'reasoning': 'It says.'})

    def tokens() -> int:
        capsys.readouterr()
        run(*PROFILE, server.url, '--dry-run')
        out = capsys.readouterr().out
        return int(re.findall(r'about (\d+) tokens to read', out)[-1])

    with OpenAIServer(reply=lambda prompt: answer) as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        before = tokens()
        run(*PROFILE, server.url, '--nodes', 'item')
        after = tokens()
        assert after < before < 2 * after


def test_profiles_of_an_endpoint(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    run(*PREPARE)
    orders = Path('orders.csv').read_text().splitlines()[1:]
    rows = [','.join([*line.split(',')[:2], 'Lovely']) for line in orders]
    Path('reviews.csv').write_text('\n'.join(['user,item,text', *rows]))
    answer = json.dumps({'profile': 'For friends.', 'reasoning': 'It says.'})
    with OpenAIServer(reply=lambda prompt: answer) as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        command = [*PROFILE, server.url, '--reviews', 'reviews.csv']
        run(*command)
        asked = len(server.requests)
        assert asked == 36 + 45
        run(*command)
        assert len(server.requests) == asked
    with ProfileStore('shop/profiles/user.jsonl', read_only=True) as store:
        assert len(store.current()) == 45
    out = capsys.readouterr().out
    assert 'items: 36 profiles, 0 failed' in out
    run('encode', 'shop', '--encoder', 'tfidf')
    data = load_data('shop')
    assert set(data['user'].profile) == {'For friends.'}
    assert set(data['item'].profile) == {'For friends.'}
    run('info', 'shop')
    assert 'user.jsonl' in capsys.readouterr().out


def test_items_of_which_nothing_is_known_after_another_split(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """They had profiles of the reviews of the split before."""
    products = Path('products.csv')
    products.write_text('\n'.join(products.read_text().splitlines()[:31]))
    orders = Path('orders.csv').read_text().splitlines()[1:]
    rows = [','.join([*line.split(',')[:2], 'Lovely']) for line in orders]
    Path('reviews.csv').write_text('\n'.join(['user,item,text', *rows]))
    prepare = [*PREPARE, '--missing', '', '--split', 'random', '--seed']
    with OpenAIServer() as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        command = [*PROFILE, server.url]
        run(*prepare, '0')
        run(*command, '--reviews', 'reviews.csv')
        run(*prepare, '3')
        run(*command, '--reviews', 'reviews.csv', '--dry-run')
        run(*command)
    assert 'items: 30 profiles, 0 failed' in capsys.readouterr().out
    run('encode', 'shop', '--encoder', 'tfidf')
    texts = load_data('shop')['item'].profile
    assert [not text for text in texts] == [False] * 30 + [True] * 6
    out = capsys.readouterr().out
    assert '6 of 36 items have no profile' in out
    assert 'users have no profile' not in out


def test_profiles_of_a_local_model(shop: Path, capsys) -> None:
    answer = {'profile': 'For friends.', 'reasoning': 'It says.'}
    save_parrot(shop / 'parrot', json.dumps(answer))
    run(*PREPARE)
    command = ['profile', 'shop', 'parrot', '--local', '--nodes']
    run(*command, 'item')
    assert 'items: 36 profiles, 0 failed' in capsys.readouterr().out
    with ProfileStore('shop/profiles/item.jsonl', read_only=True) as store:
        answers = store.current().values()
        assert {a.profile for a in answers} == {'For friends.'}
        assert {a.model for a in answers} == {'parrot'}
    run(*command, 'all')
    with ProfileStore('shop/profiles/user.jsonl', read_only=True) as store:
        assert len(store.current()) == 45


def test_no_such_local_model(shop: Path, capsys) -> None:
    run(*PREPARE)
    assert main(['profile', 'shop', './none', '--local']) == 1
    assert "'./none'" in capsys.readouterr().err
    with ProfileStore('shop/profiles/item.jsonl', read_only=True) as store:
        assert not store.current()
        assert not store.failed()
