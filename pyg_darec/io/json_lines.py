"""Lists in a text file, one JSON value a line."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

_READABLE = json.JSONEncoder(ensure_ascii=False)  # made once: it takes long


def write_lines(path: str | os.PathLike[str], values: Sequence[Any]) -> None:
    r"""Writes a list of texts, numbers and other plain values, which
    :func:`read_lines` gives back equal and in the same types.

    Raises:
        TypeError: If a value is of another type, naming its position.
    """
    # Bytes, so that no platform changes the line ends.
    with Path(path).open('wb') as file:
        bar = tqdm(values, desc='Writing texts', delay=2)
        for position, value in enumerate(bar):
            try:
                line = to_json(value)
            except TypeError as e:
                raise TypeError(f'{e} at position {position}') from None
            file.write(line + b'\n')


def read_lines(path: str | os.PathLike[str]) -> list[Any]:
    r"""Reads what :func:`write_lines` wrote.

    Raises:
        ValueError: If a line is no JSON value, naming it.
    """
    with Path(path).open('rb') as file:
        return list(_parsed(file, path))


def _parsed(
    lines: Iterable[bytes], path: str | os.PathLike[str]
) -> Iterable[Any]:
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as e:
            raise ValueError(
                f"'{path}' needs one JSON value a line; line {number} is "
                f'none; write the file again (got {e})'
            ) from None


def to_json(value: Any) -> bytes:
    r"""One line of JSON, in UTF-8.

    Raises:
        TypeError: If reading it would not give an equal value.
    """
    value = to_plain(value)
    try:
        return _READABLE.encode(value).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value).encode()


def to_plain(value: Any) -> Any:
    r"""What JSON keeps as it is; numbers of numpy become Python's.

    Raises:
        TypeError: If :obj:`value` is or holds anything else. JSON itself
            would turn tuples into lists and keys into texts.
    """
    if isinstance(value, np.integer | np.floating | np.bool_):
        return value.item()
    if type(value) is list:
        return [to_plain(part) for part in value]
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {key: to_plain(part) for key, part in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(
        'only texts, numbers and lists of these can be written; convert what '
        f"is not (got a '{type(value).__name__}')"
    )
