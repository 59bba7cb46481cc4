"""Hashes of long lists that can be continued from where they stopped."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from pyg_darec.io.json_lines import to_json

START = '0' * 64


def chain_hash(parts: Iterable[bytes], start: str = START) -> str:
    r"""The hash :math:`h_n` of a list, from that of the list before,

    .. math::
        h_n = \textrm{SHA256}(h_{n-1} \, \Vert \, \textrm{SHA256}(p_n)),

    so that it does not depend on where a list was cut into batches, and
    needs none of the earlier parts to go on.
    """
    state = bytes.fromhex(start)
    for part in parts:
        digest = hashlib.sha256(part).digest()
        state = hashlib.sha256(state + digest).digest()
    return state.hex()


def hash_ids(ids: Iterable[Any], start: str = START) -> str:
    r"""Identifies a list of ids; :obj:`1` and :obj:`'1'` are two."""
    return chain_hash(map(id_line, ids), start)


def hash_texts(texts: Iterable[str], start: str = START) -> str:
    r"""Identifies a list of texts."""
    return chain_hash(map(encode_text, texts), start)


def encode_text(text: str) -> bytes:
    return text.encode('utf-8', 'surrogatepass')


def is_id(value: Any) -> bool:
    is_bool = isinstance(value, bool)
    return isinstance(value, int | str | np.integer) and not is_bool


def id_line(value: Any) -> bytes:
    r"""An id as one line of JSON.

    Raises:
        TypeError: If it is not an integer or a string.
    """
    if not is_id(value):
        raise TypeError(
            f'an id needs to be an integer or a string (got {value!r:.80})'
        )
    return to_json(value) + b'\n'
