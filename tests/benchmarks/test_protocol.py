import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from memory import current_mib, forget_peak, peak_mib
from protocol import Child, Contender, Failed, answer, environment
from split import Split


class Counts(Contender):
    def __init__(self) -> None:
        self.steps = self.epochs = 0

    def step(self) -> None:
        self.steps += 1

    def epoch(self) -> None:
        self.epochs += 1

    def embed(self) -> tuple[object, object]:
        return np.ones((2, 3)), np.zeros((4, 3))


def test_answers(tmp_path: Path) -> None:
    contender = Counts()
    assert contender.operations == ['step', 'epoch']
    reply = answer(contender, 'step', repeats=3, settle=2)
    assert len(reply['seconds']) == 3
    assert contender.steps == 5
    assert len(answer(contender, 'epoch', repeats=2)['seconds']) == 2
    assert contender.epochs == 2
    assert answer(contender, f'embed {tmp_path}/x.npz') == {}
    with np.load(tmp_path / 'x.npz') as file:
        assert file['user'].shape == (2, 3)
    json.dumps(reply)


SCRIPT = """
import sys
from protocol import Contender, serve

class Script(Contender):
    def __init__(self, name, split, settings):
        print('libraries print')
        self.size = {'users': split.num_users}[name]

    def step(self):
        print('a lot')

    def evaluate(self):
        raise ValueError('out of order')

serve(Script, {'script': '1'})
"""


@pytest.fixture
def child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Child]:
    def start(name: str) -> Child:
        return Child(sys.executable, 'script', name, path, settings, log)

    path, log = tmp_path / 'split.npz', tmp_path / 'logs' / 'log'
    Split.random(9, 9, 40).save(path)
    (tmp_path / 'peers').mkdir()
    (tmp_path / 'peers' / 'script.py').write_text(SCRIPT)
    settings, variables = {'threads': 1}, environment(1)
    monkeypatch.setattr('protocol.HERE', tmp_path)
    monkeypatch.setattr('protocol.environment', lambda _: variables)
    return start


def test_child(child: Callable[[str], Child]) -> None:
    """What it prints does not get in the way of what it answers."""
    first = child('users')
    first.greet()
    assert first.operations == ['step', 'evaluate']
    assert first.versions == {'script': '1'}
    reply = first.ask('step', repeats=2)
    assert len(reply['seconds']) == 2
    assert reply['peak_mib'] > 0
    with pytest.raises(Failed, match='ValueError: out of order'):
        first.ask('evaluate')
    assert len(first.ask('step')['seconds']) == 1
    first.close()
    assert 'libraries print' in first.log.read_text()


def test_a_contender_that_fails_says_so(child: Callable[[str], Child]) -> None:
    second = child('nobody')
    with pytest.raises(Failed, match="KeyError: 'nobody'"):
        second.greet()
    second.close()


def test_peak_memory() -> None:
    forget_peak()
    before = current_mib()
    np.ones(64 << 17)  # 64 MiB
    assert 60 < peak_mib() - before < 80
    forget_peak()
    assert peak_mib() - before < 30
