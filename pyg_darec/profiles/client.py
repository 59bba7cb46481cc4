"""What generation asks of a language model."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pyg_darec.profiles.prompt import Prompt


class Reply(NamedTuple):
    r"""What a language model replied to one prompt.

    Args:
        text (str): The reply.
        prompt_tokens (int, optional): The tokens that were read.
            (default: :obj:`0`)
        completion_tokens (int, optional): The tokens that were written.
            (default: :obj:`0`)
        is_cut (bool, optional): Whether the limit of tokens ended it.
            (default: :obj:`False`)
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_cut: bool = False


class TransientError(RuntimeError):
    r"""A request failed, and may succeed if it is made again.

    Args:
        message (str): What went wrong.
        retry_after (float, optional): The seconds that the endpoint wants to
            be left alone. (default: :obj:`None`)
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RejectedError(RuntimeError):
    r"""A prompt cannot be answered; others can."""


class FatalError(RuntimeError):
    r"""No prompt can be answered, and the message says what to change."""


class Client(Protocol):
    r"""A language model. Any object with these attributes will do.

    Its messages must not contain keys: they are stored and shown.
    """

    @property
    def model(self) -> str:
        r"""Identifies the model in a store."""

    @property
    def batch_size(self) -> int:
        r"""The most prompts of one call."""

    @property
    def max_concurrency(self) -> int:
        r"""The most calls at once, each from a thread of its own."""

    @property
    def max_completion_tokens(self) -> int:
        r"""The most tokens of a reply, for estimates of the cost."""

    def ask(
        self, prompts: Sequence[Prompt], attempt: int
    ) -> Sequence[Reply | RejectedError]:
        r"""Answers prompts, each with a reply or a
        :class:`~pyg_darec.profiles.RejectedError`.

        Args:
            prompts (list): The prompts.
            attempt (int): How often they were answered without success.

        Raises:
            TransientError: If the same call may succeed later.
            RejectedError: If none of these prompts can be answered.
            FatalError: If no prompt can be answered.
        """
