import json
from typing import Any, NamedTuple

from pyg_darec.profiles.clean_text import clean_text

# A profile has a hundred words; this is a model that does not stop.
_MAX_REPLY = 100_000
# Braces to try: no more occur before the object, unless by malice.
_MAX_STARTS = 500


class Profile(NamedTuple):
    r"""What a language model wrote about a user or an item."""

    text: str
    reasoning: str


def parse_profile(reply: str) -> Profile:
    r"""Reads the first JSON object with a profile out of a reply. Words, a
    code fence or braces around it do no harm.

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
    value = _find_object(reply)
    if value is None:
        raise ValueError(
            "The reply holds no complete JSON object with a 'profile' "
            f'(got {clean_text(reply)!r:.200})'
        )
    texts = []
    for key in ('profile', 'reasoning'):
        text = value.get(key)
        text = clean_text(text) if isinstance(text, str) else text
        if not isinstance(text, str) or not text:
            raise ValueError(
                f"The reply needs a text under '{key}' "
                f'(got {value.get(key)!r:.200})'
            )
        texts.append(text)
    return Profile(*texts)


def _find_object(reply: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    start = -1
    for _ in range(_MAX_STARTS):
        start = reply.find('{', start + 1)
        if start == -1:
            break
        try:
            value, _ = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and 'profile' in value:
            return value
    return None
