import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.conftest import PREPARE

from pyg_darec.cli import main as module
from pyg_darec.cli.main import main


def fail_with(error: BaseException):
    def command(folder: Path | None = None) -> None:
        raise error

    return command


def test_an_error_is_one_line(capsys, tmp_path: Path) -> None:
    assert main(['info', str(tmp_path / 'nowhere')]) == 1
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith('pyg-darec: error: There is no folder')
    assert err.count('\n') == 1


def test_debug_shows_where(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        main(['info', str(tmp_path / 'nowhere'), '--debug'])


def test_content_of_files_cannot_write_to_the_terminal(
    capsys, monkeypatch
) -> None:
    text = 'a\nb\x1b[2J' + 'x' * 5000
    monkeypatch.setitem(module.COMMANDS, 'info', fail_with(ValueError(text)))
    assert main(['info']) == 1
    err = capsys.readouterr().err
    assert err.startswith('pyg-darec: error: a b [2Jxxx')
    assert len(err) < 1100


def test_interrupt(capsys, monkeypatch) -> None:
    command = fail_with(KeyboardInterrupt())
    monkeypatch.setitem(module.COMMANDS, 'info', command)
    assert main(['info']) == 130
    assert capsys.readouterr().err == 'pyg-darec: interrupted\n'


def test_our_own_mistakes_are_not_hidden(monkeypatch) -> None:
    monkeypatch.setitem(module.COMMANDS, 'info', fail_with(KeyError('x')))
    with pytest.raises(KeyError):
        main(['info'])


@pytest.mark.parametrize(
    'argv', [[], ['nothing'], ['train'], ['evaluate', 'run', '--ks', 'x']]
)
def test_wrong_usage(argv: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert 'error: ' in capsys.readouterr().err


def test_warnings_are_one_line(shop: Path, capsys) -> None:
    rows = ''.join(f'{user},{user}\n' for user in range(3))
    (shop / 'few.csv').write_text(f'user,item\n{rows}')
    assert main(['prepare', 'few.csv', 'few']) == 0
    err = capsys.readouterr().err
    assert err.startswith('pyg-darec: warning: SplitInteractions(')
    assert err.count('\n') == 1


def test_names_that_a_console_has_no_letters_for(shop: Path) -> None:
    command = [*PREPARE[:2], 'lädchen', *PREPARE[3:]]
    done = subprocess.run(
        [sys.executable, '-m', 'pyg_darec', *command],
        env={**os.environ, 'PYTHONIOENCODING': 'ascii'},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.startswith(b'l\\xe4dchen: BipartiteGraph(')


def test_as_a_process(shop: Path) -> None:
    """What only a process shows: exit codes, streams, Ctrl-C, a closed pipe."""

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, '-m', 'pyg_darec', *argv]
        return subprocess.run(command, capture_output=True, text=True)

    assert run(*PREPARE).returncode == 0
    failed = run('train', 'shop', 'runs/a', '--aligner', 'darec')
    assert failed.returncode == 1
    assert 'Traceback' not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith('pyg-darec: error: ')

    long = ['train', 'shop', 'runs/b', '--aligner', 'none', '--patience']
    long += ['null', '--epochs', '100000', '--batch-size', '8']
    process = subprocess.Popen(
        [sys.executable, '-m', 'pyg_darec', *long],
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background ignores Ctrl-C, and
        # so would everything below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(shop / 'runs/b/checkpoint.safetensors', process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith('pyg-darec: interrupted\n')


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
