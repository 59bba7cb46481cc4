import threading
import time

import pytest

from pyg_darec.profiles.backoff import Backoff, Stopped


def test_delays_double_up_to_a_limit():
    backoff = Backoff(base=1.0, longest=60.0)
    for attempt, limit in [(0, 1), (1, 2), (3, 8), (6, 60), (10**6, 60)]:
        delays = {backoff.delay(attempt) for _ in range(100)}
        assert limit / 2 <= min(delays) < max(delays) <= limit
        assert len(delays) > 90


def test_hold_makes_others_wait():
    backoff = Backoff()
    backoff.wait()
    start = time.monotonic()
    backoff.hold(0.2)
    backoff.hold(0.0)
    thread = threading.Thread(target=backoff.wait)
    thread.start()
    thread.join()
    assert time.monotonic() - start >= 0.2


def test_hold_reaches_those_that_wait_already():
    backoff = Backoff()
    start = time.monotonic()
    threading.Timer(0.05, backoff.hold, [0.3]).start()
    backoff.wait(0.2)
    assert time.monotonic() - start >= 0.34


def test_stop_ends_all_waiting():
    backoff = Backoff()
    threading.Timer(0.05, backoff.stop).start()
    with pytest.raises(Stopped):
        backoff.wait(1e4)
    with pytest.raises(Stopped):
        backoff.wait()
