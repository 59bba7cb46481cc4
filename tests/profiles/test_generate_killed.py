"""Generation under SIGKILL."""

import multiprocessing
import os
import random
import signal
import time

import pytest
from conformance.kills import KILLS
from conformance.openai_server import (
    CUT,
    SERVER_ERROR,
    Fault,
    OpenAIServer,
    rate_limited,
)

from pyg_darec.profiles import ChatClient, Prompt, generate_profiles
from pyg_darec.profiles.profile_store import HEADER
from pyg_darec.profiles.record_log import read_records

PROMPTS = [Prompt(n, f'Item {n}', 'system') for n in range(60 * KILLS)]
FAULTS = (CUT, SERVER_ERROR, rate_limited(0.01), Fault(content='no'))


def generate(url, key, path):
    os.environ['OPENAI_API_KEY'] = key
    client = ChatClient('chat', base_url=url, max_concurrency=4)
    generate_profiles(
        PROMPTS, client, path, backoff=0.001, max_attempts=20, progress=False
    )


def stored_prompts(path):
    if not path.exists():
        return set()
    ids = [r['id'] for r in read_records(path, HEADER) if 'profile' in r]
    assert len(ids) == len(set(ids))
    return {PROMPTS[n].text for n in ids}


@pytest.mark.timeout(60 + 15 * KILLS)
def test_killed_at_random_moments(tmp_path):
    # A server that has imported everything, and forks in no time.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(
        ['__main__', 'pyg_darec.profiles', 'openai.resources.chat', __name__]
    )
    rng, moments = random.Random(0), random.Random(1)
    killed, whole = tmp_path / 'killed.jsonl', tmp_path / 'whole.jsonl'
    stored, asked_again = set(), []

    def misbehave(request):
        if request.prompt in stored:
            asked_again.append(request.prompt)
        return rng.choice(FAULTS) if rng.random() < 0.1 else None

    with OpenAIServer() as server:
        server.fault_for = misbehave

        def kill(path, is_time):
            args = server.url, server.key, path
            process = context.Process(target=generate, args=args)
            process.start()
            while process.is_alive() and not is_time():
                process.join(0.0005)
            process.kill()
            process.join()
            return process.exitcode

        codes = []
        for _ in range(KILLS):
            # By the count of requests: the speed of a machine has no say.
            end = len(server.requests) + moments.randrange(40)
            codes.append(
                kill(killed, lambda end=end: len(server.requests) >= end)
            )
            stored |= stored_prompts(killed)
        assert codes.count(-signal.SIGKILL) > KILLS // 2
        assert len(stored) > 5 * KILLS
        generate(server.url, server.key, killed)
        assert asked_again == []
        stored.clear()
        generate(server.url, server.key, whole)
        assert killed.read_bytes() == whole.read_bytes()

        # With nothing left to ask, kills hit the opening and the finishing.
        for _ in range(5):
            until = time.monotonic() + moments.uniform(0.0, 0.05)
            kill(killed, lambda until=until: time.monotonic() > until)
            assert killed.read_bytes() == whole.read_bytes()
