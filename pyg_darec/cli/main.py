"""What the command line does with arguments and with errors."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from pyg_darec.cli.parser import COMMANDS, parse
from pyg_darec.profiles.clean_text import clean_text

# What the library raises where something outside of it is at fault. Anything
# else is a mistake of ours and shows where.
USER_ERRORS = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    RuntimeError,  # and what endpoints do
    FloatingPointError,
)
INTERRUPTED = 130  # what shells use: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    r"""Runs one command.

    Args:
        argv (list, optional): The arguments. If :obj:`None`, those of the
            process. (default: :obj:`None`)

    Returns:
        The exit code: 0, 1 after an error that is explained in one line, 130
        after Ctrl-C. Wrong usage exits with 2.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every console has every letter that a name may have.
        sys.stdout.reconfigure(errors='backslashreplace')
    name, debug, arguments = parse(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            COMMANDS[name](**arguments)
            sys.stdout.flush()
        except KeyboardInterrupt:
            _complain('interrupted')
            return INTERRUPTED
        except BrokenPipeError:  # the reader, such as 'head', has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except USER_ERRORS as error:
            if debug:
                raise
            _complain(f'error: {_one_line(error)}')
            return 1
    return 0


def _one_line(error: BaseException) -> str:
    # Nothing that a file holds may move the cursor or fill the screen.
    text = clean_text(str(error)) or type(error).__name__
    return text if len(text) <= 1000 else f'{text[:999]}…'


def _show_warning(message: Any, *_: Any) -> None:
    _complain(f'warning: {_one_line(message)}')


def _complain(text: str) -> None:
    # On a line of its own, where there is a progress bar.
    tqdm.write(f'pyg-darec: {text}', file=sys.stderr)
