"""How a benchmark talks to contenders, each in a process and, where it needs
one, an environment of its own: one line of JSON a request, one a reply. Nothing
here needs more than the standard library and numpy.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from memory import current_mib, forget_peak, peak_mib
from split import Split

HERE = Path(__file__).parent
TIMED = ('step', 'epoch', 'propagate', 'evaluate', 'evaluate_default')


class Contender:
    """One model of one library. A subclass has those of the methods in
    ``TIMED`` that its library has: a training step on a batch that is there
    already, an epoch with its sampling, one propagation of all layers without
    gradients, the evaluation of all test users.
    """

    def train(self, count: int) -> list[float]:
        """Seconds of each of some epochs."""
        return [timed(self.epoch) for _ in range(count)]  # type: ignore[attr-defined]

    def embed(self) -> tuple[Any, Any]:
        """Arrays of user and item embeddings, scored by inner product."""
        raise NotImplementedError

    @property
    def operations(self) -> list[str]:
        return [name for name in TIMED if hasattr(self, name)]


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def serve(
    build: Callable[[str, Split, dict[str, Any]], Contender],
    versions: dict[str, str],
) -> None:
    """Called by the script of a library as its last line: answers requests
    until there are no more.
    """
    name, path, settings = sys.argv[1:]
    del sys.argv[1:]  # libraries read it too
    # Libraries print as they like; what they print goes where errors go.
    replies = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    imports = current_mib()
    contender = build(name, Split.load(path), json.loads(settings))
    hello = {'operations': contender.operations, 'versions': versions}
    print(json.dumps(hello), file=replies, flush=True)
    for line in sys.stdin:
        try:
            reply = answer(contender, **json.loads(line))
            reply['peak_mib'] = peak_mib() - imports
        except Exception:
            reply = {'error': traceback.format_exc()}
        print(json.dumps(reply), file=replies, flush=True)


def answer(
    contender: Contender, do: str, repeats: int = 1, settle: int = 0
) -> dict[str, Any]:
    forget_peak()
    if do == 'epoch':
        return {'seconds': contender.train(repeats)}
    if do.startswith('embed '):
        user, item = contender.embed()
        np.savez(do.removeprefix('embed '), user=user, item=item)
        return {}
    function = getattr(contender, do)
    for _ in range(settle):
        function()
    return {'seconds': [timed(function) for _ in range(repeats)]}


class Failed(Exception):
    """What a contender said when it failed."""


class Child:
    """The process of a contender, as the benchmark sees it."""

    def __init__(
        self,
        python: str | Path,
        script: str,
        name: str,
        split: Path,
        settings: dict[str, Any],
        log: Path,
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open('w') as errors:
            self.process = subprocess.Popen(
                [
                    str(python),
                    str(HERE / 'peers' / f'{script}.py'),
                    name,
                    str(split.resolve()),
                    json.dumps(settings),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(settings['threads']),
            )

    def greet(self) -> None:
        """Waits until the contender is built."""
        hello = self._reply()
        self.operations: list[str] = hello['operations']
        self.versions: dict[str, str] = hello['versions']

    def ask(self, do: str, **options: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(json.dumps({'do': do, **options}), file=self.process.stdin)
        try:
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Failed(f'its process has ended; see {self.log}') from error
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text().strip().splitlines()[-3:]
            code = self.process.wait()
            raise Failed(f'ended with {code}: {" / ".join(tail)}')
        reply: dict[str, Any] = json.loads(line)
        if 'error' in reply:
            raise Failed(reply['error'])
        return reply

    def close(self) -> None:
        """Ends the process: it has nothing left to answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def environment(threads: int) -> dict[str, str]:
    """The same number of threads for whatever library counts them."""
    names = ('OMP', 'MKL', 'OPENBLAS', 'NUMEXPR')
    count = {f'{name}_NUM_THREADS': str(threads) for name in names}
    return {**os.environ, **count, 'PYTHONPATH': str(HERE)}
