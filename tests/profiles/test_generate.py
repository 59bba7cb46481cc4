import threading
import time
from collections import Counter
from itertools import pairwise

import pytest
from conformance.openai_server import (
    CUT,
    INVALID_JSON,
    SERVER_ERROR,
    Fault,
    OpenAIServer,
    profile_reply,
    rate_limited,
    slow,
)

from pyg_darec.profiles import (
    ChatClient,
    FatalError,
    ProfileStore,
    Prompt,
    generate_profiles,
    parse_profile,
)
from pyg_darec.profiles.client import RejectedError, Reply, TransientError

PROMPTS = [Prompt(n, f'Item {n}', 'system', split='s') for n in range(20)]
NO_PROFILE = Fault(content='I would rather not.')


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv('OPENAI_API_KEY', server.key)
        yield server


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'item.jsonl'


def run(
    server,
    path,
    prompts=PROMPTS,
    concurrency=4,
    model='chat',
    timeout=2,
    **kwargs,
):
    client = ChatClient(
        model, server.url, max_concurrency=concurrency, timeout=timeout
    )
    options = {'backoff': 0.01, 'progress': False, **kwargs}
    return generate_profiles(prompts, client, path, **options)


def asked(server):
    return Counter(request.prompt for request in server.requests)


def fails(*numbers):
    """A fault for some prompts, always."""
    texts = {f'Item {n}' for n in numbers}
    return lambda request: NO_PROFILE if request.prompt in texts else None


def test_profiles_are_what_the_model_says(server, path):
    out = run(server, path)
    expected = {p.id: parse_profile(profile_reply(p.text)) for p in PROMPTS}
    assert out.profiles == expected
    assert (out.failed, out.pending) == ({}, [])
    assert (out.prompt_tokens, out.completion_tokens) == (20 * 3, 20 * 6)
    with ProfileStore(path, read_only=True) as store:
        assert store.profiles() == expected
        assert store.current()[3].split == 's'


def test_nothing_is_asked_twice(server, path):
    run(server, path, PROMPTS[:8])
    out = run(server, path)
    content = path.read_bytes()
    assert set(asked(server).values()) == {1}
    assert len(out.profiles) == 20
    assert out.prompt_tokens == 12 * 3  # of this run
    run(server, path)
    assert len(server.requests) == 20
    assert path.read_bytes() == content


def test_changed_prompts_and_models_are_asked(server, path):
    run(server, path)
    changed = [Prompt(0, 'Item 0, a mug'), *PROMPTS[1:]]
    out = run(server, path, changed)
    assert len(server.requests) == 21
    assert out.profiles[0] == parse_profile(profile_reply('Item 0, a mug'))
    server.models = ('other',)
    run(server, path, model='other')
    assert len(server.requests) == 41


def test_earlier_prompts_become_current_again(server, path):
    run(server, path)
    other = [Prompt(n, f'Other {n}', split='t') for n in range(20)]
    run(server, path, other)
    run(server, path)
    assert len(server.requests) == 40
    with ProfileStore(path) as store:
        assert store.profiles()[3] == parse_profile(profile_reply('Item 3'))
        assert len(store) == 40


def test_equal_prompt_of_another_split_is_not_asked(server, path):
    run(server, path)
    run(server, path, [Prompt(p.id, p.text, p.system, 't') for p in PROMPTS])
    assert len(server.requests) == 20
    with ProfileStore(path) as store:
        assert {a.split for a in store.current().values()} == {'t'}


def test_ids_that_are_written_alike_are_not_asked_again(server, path):
    """A single id that is no number makes texts of all."""
    run(server, path)
    asked_before = len(server.requests)
    texts = [Prompt(str(p.id), p.text, p.system, 's') for p in PROMPTS]
    texts += [Prompt('guest', 'Item 20', 'system', 's')]
    assert [p.id for p in run(server, path, texts, dry_run=True).pending] == [
        'guest'
    ]
    out = run(server, path, texts)
    assert len(server.requests) == asked_before + 1
    assert out.profiles.keys() == {p.id for p in texts}
    with ProfileStore(path, read_only=True) as store:
        assert store.profiles()['3'] == store.profiles()[3]
    # Another prompt is asked, however its id is written.
    run(server, path, [Prompt('3.0', 'Item 3', 'system'), Prompt('4', 'new')])
    assert len(server.requests) == asked_before + 2


def test_every_misbehaviour_is_overcome(server, path):
    faults = [
        rate_limited(0.05),
        SERVER_ERROR,
        CUT,
        INVALID_JSON,
        slow(3),
        NO_PROFILE,
        Fault(content=''),
        Fault(content='{"profile": "a"}'),
        Fault(body='{}'),
        rate_limited(),
    ]
    server.faults = list(faults)
    out = run(server, path)
    assert len(out.profiles) == 20
    assert len(server.requests) == 20 + len(faults)


@pytest.mark.parametrize('concurrency', [1, 3])
def test_concurrency_is_bounded_and_used(server, path, concurrency):
    together = threading.Barrier(concurrency)

    def reply(prompt):
        together.wait(30)  # for as many requests as there may be at once
        return profile_reply(prompt)

    server.reply = reply
    run(server, path, PROMPTS[:9], concurrency, timeout=60)
    assert server.max_in_flight == concurrency


def test_all_wait_when_one_is_told_to(server, path):
    server.faults = [rate_limited(1.0)]
    run(server, path)
    times = [request.time for request in server.requests]
    assert len(times) == 21
    # For some time nobody asks.
    assert max(b - a for a, b in pairwise(times)) > 0.5


def test_attempts_are_bounded_and_failures_listed(server, path):
    server.fault_for = fails(3, 7)
    out = run(server, path, max_attempts=3)
    assert asked(server)['Item 3'] == asked(server)['Item 7'] == 3
    assert len(out.profiles) == 18
    assert out.failed.keys() == {3, 7}
    assert 'I would rather not' in out.failed[3]
    with ProfileStore(path, read_only=True) as store:
        assert store.failed() == out.failed

    server.requests.clear()
    assert run(server, path).failed == out.failed
    assert server.requests == []

    server.fault_for = fails(7)
    out = run(server, path, retry_failed=True, max_attempts=2)
    assert asked(server) == {'Item 3': 1, 'Item 7': 2}
    assert out.failed.keys() == {7}
    assert 3 in out.profiles


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'key': 'sk-another-0123456789'}, 'refuses the key'),
        ({'models': ()}, 'check the name of the model'),
        (
            # Others take longer than it takes to hear of the first answer.
            {'faults': [rate_limited(86400), *[slow(0.5)] * len(PROMPTS)]},
            'left alone for 86400 s',
        ),
    ],
)
def test_what_nobody_gets_past_stops_at_once(server, path, change, message):
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(FatalError, match=message):
        run(server, path)
    assert len(server.requests) <= 8
    with ProfileStore(path, read_only=True) as store:
        assert store.failed() == {}


def test_answers_on_the_way_are_stored_when_the_run_stops(server, path):
    unknown = Fault(404, body='{"error": {"message": "gone"}}')
    server.fault_for = lambda request: (
        unknown if request.prompt == 'Item 1' else slow(0.2)
    )
    with pytest.raises(FatalError, match='gone'):
        run(server, path)
    with ProfileStore(path, read_only=True) as store:
        assert {0, 2, 3} <= store.profiles().keys()
    assert len(server.requests) <= 8


@pytest.mark.parametrize('size', [2, 20])
def test_unreachable_endpoint(server, path, size):
    server.url = 'http://127.0.0.1:9/v1'
    with pytest.raises(FatalError, match=r'127\.0\.0\.1:9/v1.*cannot be reach'):
        run(server, path, PROMPTS[:size], max_attempts=2)
    with ProfileStore(path, read_only=True) as store:
        assert len(store) == 0  # nothing is held against ids


def test_failures_in_a_row_stop_the_run(server, path):
    server.fault_for = fails(*range(5, 20))
    with pytest.raises(FatalError, match=r'6 prompts in a row.*rather not'):
        run(server, path, concurrency=1, max_attempts=2, max_failures=6)
    assert len(server.requests) == 5 + 6 * 2
    server.fault_for = lambda request: None
    assert len(run(server, path).profiles) == 20


FILTER = Fault(400, body='{"error": {"message": "content policy"}}')


def refuses(*numbers):
    texts = {f'Item {n}' for n in numbers}
    return lambda request: FILTER if request.prompt in texts else None


def test_neighbours_that_are_refused_are_passed_over(server, path):
    server.fault_for = refuses(*range(2, 17))
    out = run(server, path, concurrency=1, max_failures=6)
    assert out.failed.keys() == set(range(2, 17))
    assert 'content policy' in out.failed[2]
    assert len(out.profiles) == 5
    assert len(server.requests) == 20


def test_refused_prompts_of_a_model_that_answered_before(server, path):
    run(server, path, PROMPTS[:1])
    server.fault_for = refuses(*range(1, 18))
    args = {'concurrency': 1, 'max_failures': 6}
    out = run(server, path, **args)
    assert len(out.failed) == 17
    # Other failures still count, and what is refused between them does not.
    server.fault_for = lambda request: (
        NO_PROFILE if request.prompt.endswith(('1', '3')) else FILTER
    )
    args = {'concurrency': 1, 'max_failures': 4, 'max_attempts': 1}
    with pytest.raises(FatalError, match=r'4 prompts in a row.*rather not'):
        run(server, path, retry_failed=True, **args)
    assert len(server.requests) == 1 + 19 + 13


def test_nothing_but_refused_prompts_stop_the_run(server, path):
    """The setting of a request may be wrong."""
    server.fault_for = refuses(*range(20))
    args = {'concurrency': 1, 'max_failures': 6}
    with pytest.raises(FatalError, match=r'6 prompts in a row.*content policy'):
        run(server, path, **args)
    with ProfileStore(path, read_only=True) as store:
        assert len(store) == 0
    # Of another model there are profiles, which says nothing of this one.
    server.fault_for = lambda request: None
    server.models = ('chat', 'other')
    run(server, path, PROMPTS[:1])
    server.fault_for = refuses(*range(20))
    with pytest.raises(FatalError, match='6 prompts in a row'):
        run(server, path, model='other', **args)


def test_refused_prompts_of_a_batch(path):
    """Those of a local model, such as one that is too long for it."""

    class Short(Stub):
        def ask(self, prompts, attempt=0):
            is_long = [p.id >= 3 for p in prompts]
            return [
                RejectedError('too long') if long else reply
                for long, reply in zip(
                    is_long, super().ask(prompts), strict=True
                )
            ]

    client = Short(lambda prompt, attempt: VALID, 3)
    out = generate_profiles(
        TWELVE, client, path, max_failures=5, progress=False
    )
    assert (len(out.profiles), len(out.failed)) == (3, 9)


def test_dry_run_asks_and_writes_nothing(server, path, monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY')
    out = run(server, path, dry_run=True, price=(2.0, 10.0), count_tokens=len)
    assert out.pending == PROMPTS
    assert out.prompt_tokens == sum(
        len('system') + len(p.text) for p in PROMPTS
    )
    assert out.completion_tokens == 20 * 1024
    cost = (out.prompt_tokens * 2 + 20 * 1024 * 10) / 1e6
    assert out.cost == pytest.approx(cost)
    assert 'system\n\nItem 0' in str(out)
    assert '20 to ask for' in str(out)
    assert f'at most {cost:.4f} to pay, without retries' in str(out)
    assert server.requests == []
    assert list(path.parent.iterdir()) == []


def test_dry_run_knows_what_is_stored(server, path):
    run(server, path, PROMPTS[:15])
    content = path.read_bytes()
    out = run(server, path, dry_run=True)
    assert [p.id for p in out.pending] == [15, 16, 17, 18, 19]
    assert len(out.profiles) == 15
    assert path.read_bytes() == content


def test_progress_shows_cost_and_time_left(server, path, capsys):
    out = run(server, path, progress=True, price=(1e6, 1e6))
    assert out.cost == 20 * 9
    shown = capsys.readouterr().err.split('\r')[-1]
    assert '20/20' in shown
    assert 'cost=180.0000 of about 180.0000' in shown
    assert 'profile/s' in shown or 's/profile' in shown


def test_open_store_stays_open(server, path):
    with ProfileStore(path) as store:
        run(server, store, PROMPTS[:2])
        run(server, store, PROMPTS[:4])
        assert len(store.profiles()) == 4


def test_two_runs_at_once(server, path):
    with (
        ProfileStore(path),
        pytest.raises(RuntimeError, match=f"'{path}' is being written by"),
    ):
        run(server, path)
    assert server.requests == []


def test_ids_need_to_differ(server, path):
    with pytest.raises(ValueError, match=r'one prompt per id.*2 of 0'):
        run(server, path, [PROMPTS[0], Prompt(0, 'other')])


@pytest.mark.parametrize('name', ['max_attempts', 'max_failures'])
def test_wrong_counts(server, path, name):
    with pytest.raises(ValueError, match=f"'{name}' needs to be a positive"):
        run(server, path, **{name: 0})


def test_no_prompts(server, path):
    assert run(server, path, []).profiles == {}


def test_key_is_in_no_file(server, path):
    """Also where the endpoint sends it back in replies and errors."""
    echo = Fault(content=f'{{"profile": "{server.key}", "reasoning": "r"}}')
    wrong = Fault(400, body=f'{{"error": {{"message": "{server.key}"}}}}')
    server.faults = [echo, wrong]
    out = run(server, path)
    assert '***' in str(out) + repr(out)
    assert server.key not in repr(out)
    for file in path.parent.rglob('*'):
        assert server.key.encode() not in file.read_bytes()
    assert b'***' in path.read_bytes()


def test_any_text_goes_through(server, path):
    texts = [
        '👩‍👩‍👧',
        '日本語',
        'عربي',
        'a\x00b\x1b',
        '"}\n{"',
        'é' * 10**6,
    ]
    server.reply = lambda prompt: profile_reply(prompt[:10])
    out = run(server, path, [Prompt(t[:9], t) for t in texts])
    assert out.profiles.keys() == {t[:9] for t in texts}
    with ProfileStore(path, read_only=True) as store:
        assert store.profiles() == out.profiles


def test_slow_endpoint_is_waited_for_no_longer_than_it_says(server, path):
    start = time.monotonic()
    server.fault_for = lambda request: slow(60)
    with pytest.raises(FatalError, match='did not answer in time'):
        run(server, path, PROMPTS[:1], max_attempts=1)
    assert time.monotonic() - start < 30


class Stub:
    """A client that does what it is told."""

    model, max_concurrency, max_completion_tokens = 'm', 1, 5

    def __init__(self, answer, batch_size=1):
        self.answer, self.batch_size = answer, batch_size

    def ask(self, prompts, attempt=0):
        return [Reply(self.answer(p, attempt), 1, 1) for p in prompts]


VALID = '{"profile": "p", "reasoning": "r"}'
TWELVE = [Prompt(n, f'text {n}') for n in range(12)]


def test_answers_of_a_batch_outlast_the_end_of_the_run(path):
    def answer(prompt, attempt):
        if attempt > 0:
            raise FatalError('quota is used up')
        return 'not json' if prompt.id == 3 else VALID

    with pytest.raises(FatalError, match='quota'):
        generate_profiles(TWELVE[:4], Stub(answer, 4), path, progress=False)
    found = ProfileStore(path, read_only=True).profiles()
    assert set(found) == {0, 1, 2}


def test_a_prompt_that_never_comes_is_left_for_the_next_run(path):
    """Wherever it stands: the others were answered."""
    for bad in (2, 11):

        def answer(prompt, attempt, bad=bad):
            if prompt.id == bad:
                raise TransientError('timed out')
            return VALID

        args = {'max_attempts': 2, 'backoff': 1e-4, 'progress': False}
        file = path.with_name(f'{bad}.jsonl')
        out = generate_profiles(TWELVE, Stub(answer), file, **args)
        assert (out.failed, out.unanswered) == ({}, {bad: 'timed out'})
        assert '1 were not answered and are left for the next run' in str(out)
        client = Stub(lambda prompt, attempt: VALID)
        out = generate_profiles(TWELVE, client, file, **args)
        assert (len(out.profiles), out.unanswered) == (12, {})
        assert out.prompt_tokens == 1


def test_what_failed_before_stays_so_if_it_is_not_answered(path):
    bad = ['not json']

    def answer(prompt, attempt):
        if prompt.id == 2 and not bad:
            raise TransientError('timed out')
        return bad[0] if prompt.id == 2 else VALID

    args = {'max_attempts': 1, 'backoff': 1e-4, 'progress': False}
    generate_profiles(TWELVE[:4], Stub(answer), path, **args)
    bad.clear()
    args['retry_failed'] = True
    out = generate_profiles(TWELVE, Stub(answer), path, **args)
    assert (list(out.failed), out.unanswered) == ([2], {})


def test_what_a_batch_brought_outlasts_a_long_limit(path):
    def answer(prompt, attempt):
        if attempt > 0:
            raise TransientError('limit', retry_after=3600)
        return 'not json' if prompt.id == 3 else VALID

    with pytest.raises(FatalError, match='left alone for 3600 s'):
        generate_profiles(TWELVE[:4], Stub(answer, 4), path, progress=False)
    found = ProfileStore(path, read_only=True)
    assert set(found.profiles()) == {0, 1, 2}
    assert found.failed() == {}


def test_a_reply_that_is_cut_off_is_asked_for_once_again(path):
    class Cut(Stub):
        def ask(self, prompts, attempt=0):
            return [
                Reply(self.answer(p, attempt), 1, 1, p.id == 1) for p in prompts
            ]

    texts = {1: 'not jso', 2: 'not json'}
    client = Cut(lambda prompt, attempt: texts.get(prompt.id, VALID), 4)
    out = generate_profiles(TWELVE[:4], client, path, progress=False)
    assert out.failed.keys() == {1, 2}
    assert "'max_completion_tokens' cut it off, raise it" in out.failed[1]
    assert out.prompt_tokens == 2 + 2 + 6  # of two, of the cut one, of the last


def test_cost_without_a_progress_bar(path):
    client = Stub(lambda prompt, attempt: VALID)
    args = {'price': (1e6, 1e6), 'progress': False}
    assert generate_profiles(TWELVE, client, path, **args).cost == 24
