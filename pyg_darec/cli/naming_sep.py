from collections.abc import Iterator
from contextlib import contextmanager

from pyg_darec.datasets._read_table import SeparatorError


@contextmanager
def naming_sep(option: str) -> Iterator[None]:
    """Lets errors advise the option, as it is spelled here."""
    try:
        yield
    except SeparatorError as e:
        raise ValueError(e.advising(f'{option} ')) from e
