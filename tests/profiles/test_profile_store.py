import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_darec.profiles import Answer, Profile, ProfileStore, Prompt

GOOD = Answer('a', 'p1', 'm', profile='likes tea', reasoning='bought tea')
BAD = Answer(7, 'p2', 'm', 's', error='The reply is empty')


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'user.jsonl'


def test_answers_survive(path):
    with ProfileStore(path) as store:
        store.add([GOOD])
        store.add([BAD])
        content = (store.current(), store.profiles(), store.failed())
    for read_only in (False, True):
        with ProfileStore(path, read_only) as store:
            assert len(store) == 2
            assert store.current() == {'a': GOOD, 7: BAD}
            assert store.profiles() == {'a': Profile('likes tea', 'bought tea')}
            assert store.failed() == {7: 'The reply is empty'}
            assert content == (
                store.current(),
                store.profiles(),
                store.failed(),
            )


def test_get_knows_id_prompt_and_model(path):
    prompt = Prompt('a', 'Who?')
    with ProfileStore(path) as store:
        answer = replace(GOOD, prompt=prompt.hash)
        store.add([answer])
        assert store.get(prompt, 'm') == answer
        assert store.get(prompt, 'other') is None
        assert store.get(Prompt('b', 'Who?'), 'm') is None
        assert store.get(Prompt('a', 'What?'), 'm') is None


def test_current_is_what_was_stored_last(path):
    newer = replace(GOOD, prompt='p0', profile='likes milk')
    with ProfileStore(path) as store:
        store.add([GOOD, newer])
        assert store.profiles()['a'].text == 'likes milk'
        store.finish()
    with ProfileStore(path) as store:
        assert store.profiles()['a'].text == 'likes milk'
        store.add([GOOD])
        store.finish()
    with ProfileStore(path) as store:
        assert store.profiles()['a'].text == 'likes tea'
        assert len(store) == 2


@settings(max_examples=20)
@given(st.data())
def test_finished_files_are_equal(tmp_path_factory, draw):
    """In whatever order and with whatever repetitions answers came."""
    answers = [
        Answer(n, 'p', 'm', profile=f'profile {n}', reasoning='r')
        for n in (-3, 20, 100, '100', '20', 'ß', '')
    ]
    folder = tmp_path_factory.mktemp('finish')
    again = draw.draw(st.lists(st.sampled_from(answers)))
    orders = [answers, [*draw.draw(st.permutations(answers)), *again]]
    for n, order in enumerate(orders):
        with ProfileStore(folder / str(n)) as store:
            store.add(
                [replace(order[0], profile=None, error='failed at first')]
            )
            store.add(order)
            store.finish()
    assert (folder / '0').read_bytes() == (folder / '1').read_bytes()


@pytest.mark.parametrize(
    'change',
    [
        {'id': None},
        {'id': True},
        {'id': [1]},
        {'prompt': 3},
        {'profile': None},
        {'error': 'and a profile'},
        {'more': 'fields'},
    ],
)
def test_line_that_is_no_answer(path, change):
    with ProfileStore(path) as store:
        store.add([GOOD])
    header, line = path.read_text().splitlines()
    wrong = json.dumps({**json.loads(line), **change})
    path.write_text(f'{header}\n{line}\n{wrong}\n')
    with pytest.raises(ValueError, match=f"Line 3 of '{path}' is no profile"):
        ProfileStore(path)
    path.write_text(f'{header}\n{line}\n')
    ProfileStore(path).close()  # nothing kept its lock


def test_read_only(path):
    with pytest.raises(FileNotFoundError):
        ProfileStore(path, read_only=True)
    with ProfileStore(path) as store:
        store.add([GOOD])
        reader = ProfileStore(path, read_only=True)  # at the same time
        with pytest.raises(ValueError, match="'read_only=True'; open it"):
            reader.add([BAD])
        assert len(reader) == 1


def test_repr(path):
    with ProfileStore(path) as store:
        assert repr(store) == f"ProfileStore('{path}')"
