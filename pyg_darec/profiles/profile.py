import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyg_darec.profiles.clean_text import clean_text

# A profile has a hundred words; this is a model that does not stop.
_MAX_REPLY = 100_000
# Braces to try: no more occur after the object, unless by malice.
_MAX_STARTS = 500


class Profile(NamedTuple):
    r"""What a language model wrote about a user or an item."""

    text: str
    reasoning: str


def parse_profile(reply: str) -> Profile:
    r"""Reads the last JSON object with a profile out of a reply. Words, a
    code fence or braces around it do no harm, nor do the thoughts of a
    reasoning model before it, up to :obj:`</think>`, and the form of the
    answer with dots instead of texts.

    Args:
        reply (str): :obj:`{"profile": "...", "reasoning": "..."}`.

    Raises:
        ValueError: If there is no such object in it, or a value of it is
            missing, empty or not a text.
    """
    if len(reply) > _MAX_REPLY:
        raise ValueError(f'The reply is too long (got {len(reply)} characters)')
    if not reply.strip():
        raise ValueError("The reply is empty (got '')")
    first: ValueError | None = None
    for value in _objects(_without_thoughts(reply)):
        try:
            return Profile(_text(value, 'profile'), _text(value, 'reasoning'))
        except ValueError as error:
            first = first or error
    raise first or ValueError(
        "The reply holds no complete JSON object with a 'profile' "
        f'(got {clean_text(reply)!r:.200})'
    )


def _without_thoughts(reply: str) -> str:
    """What follows the thoughts; nothing if they never end."""
    answer = reply.rpartition('</think>')[2]
    return '' if answer.lstrip().startswith('<think>') else answer


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Those with a profile, the last one first."""
    decoder = json.JSONDecoder()
    start = len(text)
    for _ in range(_MAX_STARTS):
        start = text.rfind('{', 0, start)
        if start == -1:
            return
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and 'profile' in value:
            yield value


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    out = clean_text(text) if isinstance(text, str) else ''
    if not out.strip('.…'):  # dots are copied from the form that is asked for
        raise ValueError(
            f"The reply needs a text under '{key}' (got {text!r:.200})"
        )
    return out
