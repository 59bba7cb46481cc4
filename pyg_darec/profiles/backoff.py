import random
import threading
import time

from pyg_darec.profiles.client import FatalError, TransientError

# A limit per minute is worth waiting for, one per day is not.
LONGEST_HOLD = 600.0


class Stopped(Exception):
    """Raised instead of waiting any longer."""


class Backoff:
    r"""When to make a request again: at the time an endpoint names, which
    holds for all threads, or after a delay that doubles with each attempt of
    a thread and is random in its upper half, so that threads spread out.

    Args:
        base (float, optional): The seconds of the first delay.
            (default: :obj:`1.0`)
        longest (float, optional): The most seconds of a delay.
            (default: :obj:`60.0`)
    """

    def __init__(self, base: float = 1.0, longest: float = 60.0) -> None:
        self.base = base
        self.longest = longest
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._until = 0.0

    def delay(self, attempt: int) -> float:
        r"""The seconds to wait after the given attempt, counted from 0."""
        delay = min(self.base * 2.0 ** min(attempt, 30), self.longest)
        return delay * random.uniform(0.5, 1.0)

    def hold(self, seconds: float) -> None:
        r"""Lets all threads wait."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def hold_after(self, error: TransientError, advice: str) -> float:
        r"""Lets all threads wait for as long as an endpoint named, and
        returns the seconds.

        Args:
            error (TransientError): What the endpoint answered.
            advice (str): What to do where that is too long.

        Raises:
            FatalError: If it is.
        """
        seconds = error.retry_after or 0.0
        if seconds > LONGEST_HOLD:
            raise FatalError(
                f'{error}; it wants to be left alone for {seconds:.0f} s: '
                f'{advice} (got more than {LONGEST_HOLD:.0f} s)'
            ) from None
        self.hold(seconds)
        return seconds

    def wait(self, seconds: float = 0.0) -> None:
        r"""Waits for that long, and until the endpoint may be asked.

        Raises:
            Stopped: If :meth:`stop` was called.
        """
        until = time.monotonic() + seconds
        while True:
            rest = max(until, self._until) - time.monotonic()
            if self._stop.wait(max(rest, 0.0)):
                raise Stopped
            if max(until, self._until) <= time.monotonic():
                return

    def stop(self) -> None:
        r"""Ends all waiting."""
        self._stop.set()
