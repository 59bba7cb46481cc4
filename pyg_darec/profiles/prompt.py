import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Id: TypeAlias = int | str


@dataclass(frozen=True)
class Prompt:
    r"""What a language model is asked about one user or item.

    Args:
        id (int or str): The id of the node.
        text (str): What the model is asked.
        system (str, optional): The system message. (default: :obj:`''`)
        split (str, optional): The hash of the training interactions that
            were read for :obj:`text` (see
            :func:`~pyg_darec.profiles.hash_split`); :obj:`None` if none
            were. (default: :obj:`None`)

    Raises:
        ValueError: If :obj:`id` is neither an integer nor a string, or
            :obj:`text` is empty or cannot be encoded.
    """

    id: Id
    text: str
    system: str = ''
    split: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.id, bool) or not isinstance(self.id, int | str):
            raise ValueError(
                f"The 'id' of a prompt needs to be an integer or a string "
                f'(got {self.id!r})'
            )
        if not self.text.strip():
            raise ValueError(
                f'The prompt of id {self.id!r} needs a text (got {self.text!r})'
            )
        try:
            (self.system + self.text).encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f'The prompt of id {self.id!r} holds half of a surrogate pair, '
                f'which is no character; remove it (got {error})'
            ) from error

    @cached_property
    def hash(self) -> str:
        r"""Identifies what the model reads."""
        key = json.dumps([self.system, self.text])
        return hashlib.sha256(key.encode()).hexdigest()

    @property
    def messages(self) -> list[dict[str, str]]:
        r"""The prompt as messages of a chat."""
        system = {'role': 'system', 'content': self.system}
        user = {'role': 'user', 'content': self.text}
        return [system, user] if self.system else [user]
