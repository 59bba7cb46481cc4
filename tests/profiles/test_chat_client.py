import builtins
import json
import logging
import time
import traceback
from email.utils import formatdate

import pytest
from conformance.openai_server import (
    CUT,
    INVALID_JSON,
    SERVER_ERROR,
    Fault,
    OpenAIServer,
    rate_limited,
    slow,
)

from pyg_darec.profiles import (
    ChatClient,
    FatalError,
    Prompt,
    RejectedError,
    Reply,
    TransientError,
)

PROMPT = Prompt('a', 'Who is this?', 'Be short.')


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    with OpenAIServer(reply=lambda prompt: 'A friend.') as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        yield server


def make_client(server, model='chat', **kwargs):
    return ChatClient(model, base_url=server.url, **kwargs)


def failure(client, kind):
    with pytest.raises(kind) as info:
        client.ask([PROMPT])
    return info.value


def test_asks(server):
    client = make_client(server, options={'temperature': 0, 'top_k': 5})
    assert client.ask([PROMPT]) == [Reply('A friend.', 5, 2, False)]
    body = server.requests[0].body
    assert body['messages'] == PROMPT.messages
    assert body['model'] == client.model == 'chat'
    assert body['max_completion_tokens'] == 1024
    assert (body['temperature'], body['top_k']) == (0, 5)


@pytest.mark.parametrize(
    ('fault', 'message', 'retry_after'),
    [
        (rate_limited(1.5), 'HTTP 429: .*Rate limit', 1.5),
        (rate_limited(), 'HTTP 429', None),
        (Fault(429, {'Retry-After': 'soon'}), 'HTTP 429', None),
        (Fault(429, {'Retry-After': 'inf'}), 'HTTP 429', None),
        (Fault(503, {'Retry-After': '-1'}), 'HTTP 503', 0.0),
        (SERVER_ERROR, 'HTTP 500: .*The server failed', None),
        (CUT, 'cannot be reached, or broke the connection off', None),
        (INVALID_JSON, 'is not valid JSON', None),
        (Fault(body='[]'), 'has no choices', None),
        (Fault(body='{}'), 'has no choices', None),
        (Fault(body='null'), 'has no choices', None),
        (Fault(body='{"choices": [null]}'), 'has no choices', None),
        (Fault(body='<html>'), 'JSON|choices', None),
        (slow(2), 'did not answer in time', None),
    ],
)
def test_what_may_succeed_later(server, fault, message, retry_after):
    server.faults = [fault]
    client = make_client(server, timeout=1)
    error = failure(client, TransientError)
    assert error.retry_after == retry_after
    with pytest.raises(TransientError, match=message):
        raise error
    # One request, as the client does not retry by itself.
    assert len(server.requests) == 1
    assert client.ask([PROMPT])[0].text == 'A friend.'


def test_retry_after_a_date(server):
    date = formatdate(time.time() + 100, usegmt=True)
    server.faults = [Fault(429, {'Retry-After': date})]
    error = failure(make_client(server), TransientError)
    assert 90 < error.retry_after < 101


def test_empty_content_is_an_empty_reply(server):
    server.faults = [Fault(content='')]
    assert make_client(server).ask([PROMPT])[0].text == ''


def test_rejected_prompt(server):
    server.faults = [Fault(400, body='{"error": {"message": "too long"}}')]
    error = failure(make_client(server), RejectedError)
    assert 'HTTP 400' in str(error)
    assert 'too long' in str(error)


def test_no_such_model(server):
    error = failure(make_client(server, 'chat-5'), FatalError)
    assert 'check the name of the model' in str(error)
    assert "ChatClient('chat-5'" in str(error)


def test_wrong_key(server, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-wrong-0123456789')
    error = failure(make_client(server), FatalError)
    assert 'set the environment variable OPENAI_API_KEY' in str(error)


def test_no_quota(server):
    body = '{"error": {"message": "empty", "code": "insufficient_quota"}}'
    server.faults = [Fault(429, body=body)]
    error = failure(make_client(server), FatalError)
    assert 'nothing left to spend' in str(error)


def test_no_credit(server):
    body = '{"error": {"message": "Insufficient Balance"}}'
    server.faults = [Fault(402, body=body)]
    error = failure(make_client(server), FatalError)
    assert 'top it up and start again (got HTTP 402' in str(error)


@pytest.mark.parametrize(
    ('body', 'kind'),
    [
        ('{"error": {"message": "Your input was flagged"}}', RejectedError),
        ('{"error": {"message": "no", "code": "Moderation"}}', RejectedError),
        ('{"error": {"message": "no such key"}}', FatalError),
        ('', FatalError),
    ],
)
def test_forbidden_key_or_prompt(server, body, kind):
    server.faults = [Fault(403, body=body)]
    assert 'HTTP 403' in str(failure(make_client(server), kind))


def test_unreachable():
    client = ChatClient('chat', base_url='http://127.0.0.1:9/v1')
    error = failure(client, TransientError)
    assert 'http://127.0.0.1:9/v1' in str(error)
    assert 'refused' in str(error)


@pytest.mark.parametrize('key', ['', '  '])
def test_without_a_key(server, monkeypatch, key):
    monkeypatch.setenv('OPENAI_API_KEY', key)
    server.key = 'none'  # an endpoint at home takes any
    assert make_client(server).ask([PROMPT])[0].text == 'A friend.'
    error = failure(ChatClient('gpt'), FatalError)
    assert 'set the environment variable OPENAI_API_KEY' in str(error)


def test_key_of_another_variable(server, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-of-somebody-else')
    monkeypatch.setenv('HOME_KEY', f' {server.key}\n')  # as from a file
    client = make_client(server, key_variable='HOME_KEY')
    assert client.ask([PROMPT])[0].text == 'A friend.'


@pytest.mark.parametrize(
    'key', ['sk-secret\x01-of-mine', 'sk-secret-é-of-mine']
)
def test_key_that_is_none(server, monkeypatch, key):
    monkeypatch.setenv('OPENAI_API_KEY', key)
    error = failure(make_client(server), FatalError)
    assert 'holds no valid key' in str(error)
    assert 'secret' not in str(error)


@pytest.mark.parametrize(
    'fault',
    [
        None,
        Fault(401, body='{"error": {"message": "KEY"}}'),
        Fault(404, body='{"error": {"message": "KEY"}}'),
        Fault(400, body='{"error": {"message": "KEY"}}'),
        Fault(500, body='{"error": {"message": "KEY"}}'),
        Fault(body='{"KEY": ['),
        Fault(body='["KEY"]'),
        Fault(content='Your key is KEY.'),
        CUT,
        slow(2),
    ],
)
def test_key_is_in_no_log_error_or_reply(server, caplog, capfd, fault):
    """Even if the endpoint sends it back and everything is logged."""
    key = server.key
    if fault is not None:
        body, content = fault.body, fault.content
        fault = Fault(
            fault.status,
            body=body and body.replace('KEY', key),
            content=content and content.replace('KEY', key),
            delay=fault.delay,
            cut=fault.cut,
        )
        server.faults = [fault]
    client = make_client(server, timeout=1)
    with caplog.at_level(logging.DEBUG):
        try:
            seen = str(client.ask([PROMPT]))
        except Exception as error:
            seen = ''.join(traceback.format_exception(error))
            while error is not None:
                seen += repr(error) + repr(vars(error)) + repr(error.args)
                error = error.__cause__ or error.__context__
    seen += repr(client) + str(vars(client)) + ''.join(capfd.readouterr())
    seen += caplog.text + ''.join(str(vars(r)) for r in caplog.records)
    assert server.requests[0].key == key
    assert len(caplog.records) > 0
    assert key not in seen


@pytest.mark.parametrize(
    'url', ['localhost:8000/v1', 'ftp://host/v1', 'http://', 'http://[::1', 'x']
)
def test_wrong_url(url):
    with pytest.raises(ValueError, match="'base_url' needs to be an address"):
        ChatClient('chat', base_url=url)


@pytest.mark.parametrize(
    'url', ['http://me:secret@host/v1', 'http://host/v1?api_key=secret']
)
def test_url_with_a_password(url):
    with pytest.raises(ValueError, match="'base_url' may not hold") as info:
        ChatClient('chat', base_url=url)
    assert 'secret' not in str(info.value)


@pytest.mark.parametrize(
    'kwargs',
    [{'max_concurrency': 0}, {'timeout': 0.0}, {'max_completion_tokens': 0}],
)
def test_wrong_numbers(kwargs):
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}' needs to be"):
        ChatClient('chat', **kwargs)


def test_without_openai(server, monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'openai':
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match='pip install openai'):
        make_client(server).ask([PROMPT])


def test_repr(server):
    url = server.url
    assert repr(make_client(server)) == f"ChatClient('chat', base_url='{url}')"
    assert repr(ChatClient('gpt')) == "ChatClient('gpt', base_url=None)"


@pytest.mark.parametrize(
    'choices',
    [
        [{'message': None, 'finish_reason': 'stop'}],
        [{'message': 'text', 'finish_reason': 'stop'}],
        [{'message': {'content': ['a', 'b']}, 'finish_reason': 'stop'}],
        {'message': {'content': 'a'}},
        [],
    ],
)
def test_odd_answers_are_tried_again(server, choices):
    body = json.dumps({'choices': choices, 'usage': {'prompt_tokens': '7'}})
    server.faults = [Fault(200, body=body)]
    with pytest.raises(TransientError, match='no choices with a text'):
        make_client(server).ask([PROMPT])


def test_odd_counts_of_tokens(server):
    choices = [{'message': {'content': 'a'}, 'finish_reason': 'stop'}]
    usage = {'prompt_tokens': '7', 'completion_tokens': None}
    body = json.dumps({'choices': choices, 'usage': usage})
    server.faults = [Fault(200, body=body)]
    assert make_client(server).ask([PROMPT]) == [Reply('a', 0, 0, False)]


@pytest.mark.parametrize('status', [301, 302, 405])
def test_not_the_address_of_an_endpoint(server, status):
    """No fault of the prompt, which would be passed over for good."""
    server.faults = [Fault(status, body='{}')]
    error = failure(make_client(server), FatalError)
    assert f'the address (got HTTP {status}' in str(error)
