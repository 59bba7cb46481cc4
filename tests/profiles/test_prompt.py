import pytest

from pyg_darec.profiles import Prompt


def test_hash_is_that_of_what_the_model_reads():
    prompt = Prompt('a', 'text', 'system', split='1')
    assert prompt.hash == Prompt('b', 'text', 'system', split='2').hash
    assert prompt.hash != Prompt('a', 'text', 'other').hash
    assert prompt.hash != Prompt('a', 'textsystem').hash


def test_messages():
    prompt = Prompt(1, 'text', 'system')
    assert [m['role'] for m in prompt.messages] == ['system', 'user']
    assert Prompt(1, 'text').messages == [{'role': 'user', 'content': 'text'}]


@pytest.mark.parametrize('node_id', [None, True, 1.5, (1,)])
def test_wrong_id(node_id):
    with pytest.raises(ValueError, match="The 'id' of a prompt"):
        Prompt(node_id, 'text')


def test_empty_text():
    with pytest.raises(ValueError, match="id 'a' needs a text"):
        Prompt('a', ' \n')


def test_text_that_is_none():
    with pytest.raises(ValueError, match="id 'a' holds half of a surrogate"):
        Prompt('a', 'half \ud83d')
