import json
import logging
import time

import numpy as np
import pytest
from conformance.openai_server import (
    CUT,
    INVALID_JSON,
    SERVER_ERROR,
    Fault,
    OpenAIServer,
    embedding,
    rate_limited,
    slow,
    wrong_dimension,
)

from pyg_darec.profiles import EmbeddingClient, FatalError, encode_profiles
from pyg_darec.profiles.client import RejectedError, TransientError

TEXTS = [f'text {n}' for n in range(20)]
EXPECTED = np.stack([embedding(text, 8) for text in TEXTS])


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        yield server


def client(server, **kwargs):
    kwargs = {'batch_size': 5, 'backoff': 0.01} | kwargs
    return EmbeddingClient('embed', server.url, **kwargs)


def test_texts_keep_their_order(server):
    x = client(server)(TEXTS)
    assert np.array_equal(x, EXPECTED)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    'fault',
    [SERVER_ERROR, CUT, INVALID_JSON, Fault(missing=1), Fault(408), slow(2.0)],
    ids=['500', 'cut', 'json', 'missing', '408', 'slow'],
)
def test_failures_are_tried_again(server, fault):
    server.faults = [fault, fault]
    # A busy machine may be slow on its own, but not for a minute.
    timeout = 1.0 if fault.delay else 60.0
    x = client(server, timeout=timeout, max_concurrency=1)(TEXTS)
    assert np.array_equal(x, EXPECTED)
    assert len(server.requests) == 6 or fault.delay


def answer(*embeddings, index=(0, 1)):
    parts = [
        {'index': n, 'embedding': x}
        for n, x in zip(index, embeddings, strict=True)
    ]
    return json.dumps({'data': parts})


ROW = [0.5] * 8


@pytest.mark.parametrize(
    ('body', 'match'),
    [
        ('<html>busy</html>', 'JSON|no embeddings .*got <html>busy'),
        ('null', 'no embeddings'),
        ('{"data": null}', 'no embeddings'),
        ('{"error": {"message": "overloaded"}}', 'no embeddings.*overloaded'),
        ('{"data": [null, null]}', 'list of numbers per text .*got None'),
        (answer(ROW, None), 'list of numbers per text .*got None'),
        (answer(ROW, 'AAAA'), 'list of numbers per text .*got AAAA'),
        (answer(ROW, []), r'list of numbers per text .*got \[\]'),
        (answer(ROW, [None] * 8), 'list of numbers per text'),
        (answer(ROW, ROW, index=(0, 0)), r'from 0 to 1, .*got \[0, 0\]'),
        (answer(ROW, ROW, index=(7, 8)), r'from 0 to 1, .*got \[7, 8\]'),
        (answer(ROW, ROW, index=(0, None)), r'from 0 to 1, .*got \[0, None\]'),
        (answer(ROW, ROW, index=('0', 1)), r"from 0 to 1, .*got \['0', 1\]"),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again(server, body, match):
    server.faults = [Fault(body=body)] * 2
    with pytest.raises(TransientError, match=match):
        client(server, max_attempts=1)(TEXTS[:2])
    assert np.array_equal(client(server)(TEXTS[:2]), EXPECTED[:2])


def test_order_is_that_of_the_indices_or_ours(server):
    a, b = [1.0, 2.0], [3, 4]
    server.faults = [
        Fault(body=answer(a, b, index=(1, 0))),
        Fault(body=json.dumps({'data': [{'embedding': x} for x in (a, b)]})),
    ]
    assert client(server)(TEXTS[:2]).tolist() == [b, a]
    assert client(server)(TEXTS[:2]).tolist() == [a, b]


def test_dimension_that_differs_between_requests_at_once(server):
    server.fault_for = lambda request: (
        wrong_dimension(5) if 'text 15' in request.body['input'] else None
    )
    with pytest.raises(ValueError, match=r"got 5, not 8, .*'text 15'"):
        client(server)(TEXTS)


def test_rate_limit_is_honoured_by_all(server):
    server.faults = [rate_limited(0.4)]
    start = time.monotonic()
    assert np.array_equal(client(server, max_concurrency=2)(TEXTS), EXPECTED)
    held = [r.time - start for r in server.requests]
    assert max(held) > 0.4
    assert len(held) == 5


def test_gives_up(server):
    server.fault_for = lambda request: SERVER_ERROR
    with pytest.raises(TransientError, match='HTTP 500'):
        client(server, max_attempts=2, max_concurrency=1)(TEXTS)
    assert len(server.requests) < 8


def test_long_limit_is_not_waited_for(server):
    server.faults = [rate_limited(86_400)]
    with pytest.raises(FatalError, match='run again after that'):
        client(server)(TEXTS[:5])


@pytest.mark.parametrize(
    ('fault', 'match'),
    [
        (Fault(400, body='{"error": {"message": "too long"}}'), 'too long'),
        (Fault(404, body='{"error": {"message": "no model"}}'), 'no model'),
    ],
)
def test_what_is_not_tried_again(server, fault, match):
    server.faults = [fault]
    with pytest.raises((RejectedError, FatalError), match=match):
        client(server)(TEXTS[:5])
    assert len(server.requests) == 1


def test_text_that_may_be_too_long_is_named(server):
    server.faults = [Fault(400, body='{"error": {"message": "too long"}}')]
    match = r"too long.*longest of its 3 texts has 900 characters: 'xxx"
    with pytest.raises(RejectedError, match=match):
        client(server)(['a', 900 * 'x', 'b'])


def test_wrong_dimension(server):
    server.faults = [wrong_dimension(5)]
    with pytest.raises(
        ValueError, match=r"another width; set 'dim'.*got 5, not"
    ):
        client(server, dim=8)(TEXTS)


def test_dimension_that_changes(server, tmp_path):
    server.fault_for = lambda request: (
        wrong_dimension(5) if 'text 15' in request.body['input'] else None
    )
    encoder = client(server, max_concurrency=1)
    with pytest.raises(ValueError, match=r"width at 'text 15'.*got 8, then 5"):
        encode_profiles(TEXTS, tmp_path, encoder)
    server.fault_for = lambda request: None
    server.requests.clear()
    store = encode_profiles(TEXTS, tmp_path, encoder)
    assert np.array_equal(store.tensor().numpy(), EXPECTED)
    assert [r.body['input'][0] for r in server.requests] == ['text 15']


def test_key_stays_secret(server, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = 'sk-wrong-0123456789abcdef'
    monkeypatch.setenv('OPENAI_API_KEY', wrong)
    with pytest.raises(FatalError, match='refuses the key') as info:
        encode_profiles(TEXTS, tmp_path, client(server))
    error = info.value
    while error is not None:
        assert wrong not in f'{error} {error.args} {vars(error)}'
        error = error.__cause__ or error.__context__
    monkeypatch.setenv('OPENAI_API_KEY', server.key)
    encode_profiles(TEXTS, tmp_path, client(server))
    written = b''.join(path.read_bytes() for path in tmp_path.iterdir())
    for key in (wrong, server.key):
        assert key not in caplog.text
        assert key.encode() not in written


def test_needs_a_key(monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    with pytest.raises(FatalError, match='OPENAI_API_KEY'):
        EmbeddingClient('embed')(['a'])


def test_unreachable():
    encoder = EmbeddingClient(
        'embed', 'http://127.0.0.1:9/v1', max_attempts=2, backoff=0.01
    )
    with pytest.raises(TransientError, match='cannot be reached'):
        encoder(['a'])


@pytest.mark.parametrize(
    'args',
    [
        {'dim': 0},
        {'batch_size': 0},
        {'max_concurrency': 0},
        {'max_attempts': 0},
        {'timeout': 0},
        {'base_url': 'localhost'},
        {'base_url': 'http://me:secret@localhost/v1'},
    ],
)
def test_wrong_arguments(args):
    with pytest.raises(ValueError, match=rf"'{next(iter(args))}'.*\(got"):
        EmbeddingClient('embed', **args)


def test_repr():
    encoder = EmbeddingClient('embed', 'http://localhost/v1')
    expected = "EmbeddingClient('embed', base_url='http://localhost/v1')"
    assert str(encoder) == expected
