"""What commands print."""

import sys


def say(*lines: object) -> None:
    r"""Prints lines to the standard output."""
    for line in lines:
        sys.stdout.write(f'{line}\n')
