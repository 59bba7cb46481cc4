"""The journal of an embedding store: which rows are on the disk."""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyg_darec.profiles.manifest import Manifest

JOURNAL = 'journal.log'


class Block(NamedTuple):
    r"""Rows that were written at once.

    Args:
        rows (int): The number of rows up to its end.
        of (int, optional): The number of rows that there will be, if known.
        x (str): The hash of its embeddings.
        ids (str, optional): The hash of all ids up to its end.
        texts (str): The hash of all texts up to its end.
    """

    rows: int
    of: int | None
    x: str
    ids: str | None
    texts: str


def to_line(content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    return b'%08x %b\n' % (zlib.crc32(body), body)


class Journal:
    r"""The lines of a journal, read one at a time. A last line that a kill
    cut off counts as absent.

    Args:
        folder (Path): The folder of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL

    def header(self) -> Manifest | None:
        r"""The settings of the store, or :obj:`None` before there are rows.

        Raises:
            ValueError: If the first line is damaged.
        """
        with self.path.open('rb') as file:
            line = file.readline()
        if not line.endswith(b'\n'):
            return None
        content = _parse(line)
        if content is None:
            raise ValueError(
                f"'{self.path}' is damaged in its first line; encode again "
                f"with 'overwrite' (got {line[:60]!r})"
            )
        return Manifest.from_dict(content, f"'{self.path}'")

    def blocks(self) -> Iterator[tuple[Block, int]]:
        r"""Blocks up to the first line that is not whole, each with the place
        of its end in the file.
        """
        rows = 0
        with self.path.open('rb') as file:
            place = len(file.readline())
            for line in file:
                place += len(line)
                content = _parse(line)
                if content is None or set(content) != set(Block._fields):
                    return
                block = Block(**content)
                if type(block.rows) is not int or block.rows <= rows:
                    return
                rows = block.rows
                yield block, place

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.path}')"


def _parse(line: bytes) -> dict[str, Any] | None:
    check, _, body = line[:-1].partition(b' ')
    if not line.endswith(b'\n') or check != b'%08x' % zlib.crc32(body):
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
