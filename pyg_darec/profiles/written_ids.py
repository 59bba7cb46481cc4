import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyg_darec.profiles.cell import decode
from pyg_darec.profiles.prompt import Id


class WrittenIds:
    r"""Ids, found by how they are written: :obj:`7` by :obj:`'7'`, and by
    :obj:`7.0`, which tables make of whole numbers that have gaps among them.

    Args:
        ids (list): The ids.
    """

    def __init__(self, ids: Sequence[Any]) -> None:
        self.ids = ids
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, value in enumerate(ids):
            self._places[_whole(written(value))].append(place)

    def find(self, value: Any) -> int:
        r"""The place of an id; -1 if it is none or cannot be told from
        another.
        """
        places = self.places(value)
        return places[0] if len(places) == 1 else -1

    def places(self, value: Any) -> list[int]:
        r"""All places of an id. Of ids that are written alike, it is the one
        of its type.
        """
        value = value.item() if isinstance(value, np.generic) else value
        text = written(value)
        places = self._places.get(_whole(text), [])
        if len(places) > 1:
            places = [p for p in places if written(self.ids[p]) == text]
        if len(places) > 1:
            places = [p for p in places if type(self.ids[p]) is type(value)]
        return places

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}({len(self.ids)})'


def match_written(ids: Sequence[Any], nodes: Sequence[Any]) -> list[int]:
    r"""The place in :obj:`ids` of the id of each node: of ids that are written
    alike the one of its type, and none that is rather that of another node.

    Args:
        ids (list): The ids.
        nodes (list): The id of each node.

    Returns:
        One place per node; -1 if there is none or it cannot be told.
    """
    known, wanted = WrittenIds(ids), WrittenIds(nodes)
    places = map(known.find, nodes)
    return [
        place if place >= 0 and wanted.find(ids[place]) == node else -1
        for node, place in enumerate(places)
    ]


def spellings(value: Id) -> tuple[Id, ...]:
    r"""All ids that are written like one, itself first."""
    number = as_number(value)
    if not isinstance(number, int):
        return (value,)
    return value, number, str(number), f'{number}.0'


def as_number(value: Id) -> Id:
    r"""The integer that an id is written like, or the id."""
    text = _whole(written(value))
    # Longer ones are no numbers of a table.
    is_number = len(text) < _MAX_LENGTH and _WHOLE.fullmatch(f'{text}.0')
    return int(text) if is_number else value


def written(value: Any) -> str:
    r"""An id as text; a whole number has no point, whatever its type."""
    value = decode(value)
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if is_whole else value)


def _whole(text: str) -> str:
    is_whole = text.endswith('.0') and _WHOLE.fullmatch(text)
    return text[:-2] if is_whole else text


_MAX_LENGTH = 20
_WHOLE = re.compile(r'(0|-?[1-9]\d*)\.0', re.ASCII)
