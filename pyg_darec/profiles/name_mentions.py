"""Names of items in texts."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyg_darec.profiles.cell import to_text

# Scripts that put no space between words: every character is a word.
_UNSPACED = '\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff'
_WORD = re.compile(rf'[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+')


class Mention(NamedTuple):
    r"""A user text that holds the name of an item that was held out.

    Args:
        user (int or str): The id of the user, or its row.
        item (int or str): The id of the item, or its row.
        name (str): The name.
        is_explained (bool): Whether the name is also in the texts of the
            training items of the user, from where it may come.
    """

    user: int | str
    item: int | str
    name: str
    is_explained: bool


class NameIndex:
    r"""Finds all of many names in a text: equal but for case and the width of
    spaces, and not within a word.

    Names are looked up by their first two words and their length, so that
    the time for a text hardly depends on how many names there are. A name
    without a letter or digit is never found.

    Args:
        names (list): The names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._rows: dict[str, list[int]] = {}
        self._lengths: dict[tuple[str, ...], set[int]] = {}
        for row, name in enumerate(names):
            name = to_text(name)
            words = list(_WORD.finditer(name.casefold()))
            if not words:
                continue
            key = _slice(name.casefold(), words[0], words[-1])
            self._rows.setdefault(key, []).append(row)
            start = tuple(word.group() for word in words[:2])
            self._lengths.setdefault(start, set()).add(len(words))

    def find(self, text: str) -> set[int]:
        r"""The rows of the names in a text."""
        text = to_text(text).casefold()
        words = list(_WORD.finditer(text))
        out: set[int] = set()
        keys = [word.group() for word in words]
        for first, word in enumerate(words):
            for size in (1, 2):
                start = tuple(keys[first : first + size])
                for length in self._lengths.get(start, ()):
                    if len(start) == size and first + length <= len(words):
                        last = words[first + length - 1]
                        name = _slice(text, word, last)
                        out.update(self._rows.get(name, ()))
        return out

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}({len(self._rows)} names)'


def find_mentions(
    names: Sequence[str],
    user_texts: Sequence[str],
    training: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    item_texts: Sequence[str] | None = None,
) -> tuple[list[Mention], float]:
    r"""The names of held-out items in the texts of their users.

    Args:
        names (list): The name of each item.
        user_texts (list): The text of each user.
        training (list): The training items of each user.
        held_out (list): The held-out items of each user.
        item_texts (list, optional): The text of each item.
            (default: :obj:`None`)

    Returns:
        The mentions, by row, and how many unexplained ones there would be if
        texts named items that the user never met as often as held-out ones,
        in proportion to their popularity.
    """
    index = NameIndex(names)
    popularity = [1] * len(names)
    for items in training:
        for item in items:
            popularity[item] += 1
    total = sum(popularity)
    within: dict[int, set[int]] = {}
    mentions, expected = [], 0.0
    for user, text in enumerate(user_texts):
        found = index.find(text)
        if not found:
            continue
        seen = set(training[user])
        # A pair that is in both is masked where it is evaluated.
        hidden = set(held_out[user]) - seen
        explained: set[int] = set()
        if found - seen:
            for item in seen:
                if item not in within:
                    within[item] = index.find(names[item])
                    if item_texts is not None:
                        within[item] |= index.find(item_texts[item])
                explained |= within[item]
        mentions += [
            Mention(user, item, names[item], item in explained)
            for item in sorted(found & hidden)
        ]
        weight = sum(popularity[item] for item in hidden - explained)
        rest = total - sum(popularity[item] for item in seen | explained)
        expected += (
            len(found - seen - explained - hidden)
            * weight
            / max(rest - weight, 1)
        )
    return mentions, expected


def _slice(text: str, first: re.Match[str], last: re.Match[str]) -> str:
    return ' '.join(text[first.start() : last.end()].split())
