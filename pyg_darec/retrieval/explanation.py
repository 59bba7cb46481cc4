from dataclasses import dataclass
from typing import Any

from pyg_darec.profiles.cell import to_text


@dataclass(frozen=True)
class Reason:
    r"""A training item of the user that a recommended item is like.

    Attributes:
        item (int): Its index.
        id: Its original id, or its index without one.
        text (str, optional): Its profile.
        similarity (float): The cosine of its profile embedding and that of
            the recommended item.
        contribution (float): How much the score falls when the model, with
            the weights it has, does not see the user's interaction with it.
    """

    item: int
    id: Any
    text: str | None
    similarity: float
    contribution: float

    def __str__(self) -> str:
        return (
            f'  {self.similarity:.2f} alike, {self.contribution:+.3g} to the '
            f'score: {_label(self.id, self.text)}'
        )


@dataclass(frozen=True)
class Explanation:
    r"""Why an item is recommended to a user. Prints as a few lines.

    Attributes:
        user (int): The index of the user.
        user_id: The original id of the user, or the index without one.
        item (int): The index of the item.
        id: The original id of the item, or its index without one.
        text (str, optional): The profile of the item.
        score (float): What the model scores the item with.
        reasons (tuple): The :class:`Reason` items, most similar first; empty
            for a user without training interactions.
    """

    user: int
    user_id: Any
    item: int
    id: Any
    text: str | None
    score: float
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        head = (
            f'user {self.user_id!r}: {_label(self.id, self.text)}, '
            f'score {self.score:.3g}'
        )
        none = ['  no training interactions to compare with']
        return '\n'.join(
            [head, *(map(str, self.reasons) if self.reasons else none)]
        )


def _label(id: Any, text: Any, width: int = 100) -> str:
    """One line, whatever the text holds."""
    line = ' '.join(to_text(text).split())
    if not line:
        return f'item {id!r}'
    line = line if len(line) <= width else f'{line[: width - 1]}…'
    return f'{line} (item {id!r})'
