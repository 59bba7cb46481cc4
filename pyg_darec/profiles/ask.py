"""Asking a language model until it gives a valid answer."""

from collections.abc import Sequence
from typing import NamedTuple

from pyg_darec.profiles.backoff import Backoff, Stopped
from pyg_darec.profiles.client import (
    Client,
    FatalError,
    RejectedError,
    Reply,
    TransientError,
)
from pyg_darec.profiles.profile import Profile, parse_profile
from pyg_darec.profiles.prompt import Prompt

_ADVICE = 'start again after that, nothing that is stored is asked again'
# Replies of full length that were cut off: each costs the most that one can,
# and a third is hardly ever shorter.
_MAX_CUT = 2


class Outcome(NamedTuple):
    r"""What became of a prompt.

    Args:
        prompt (Prompt): The prompt.
        result (Profile or str): The profile, or why there is none.
        prompt_tokens (int): The tokens that were read in all attempts.
        completion_tokens (int): The tokens that were written in them.
        is_transient (bool): Whether the last attempt failed for a reason
            that has nothing to do with the prompt.
        is_rejected (bool): Whether the model does not take the prompt.
    """

    prompt: Prompt
    result: Profile | str
    prompt_tokens: int
    completion_tokens: int
    is_transient: bool
    is_rejected: bool


def ask(
    client: Client,
    prompts: Sequence[Prompt],
    max_attempts: int,
    backoff: Backoff,
) -> tuple[list[Outcome], Exception | None]:
    r"""Asks for the profiles of a batch. Those that do not come, or are not
    valid, are asked for again, but only once where the limit of tokens cut
    them off.

    Returns what became of the prompts, and :obj:`None`; or what is there
    already of some of them, and the error that ended the work.

    Args:
        client (Client): The language model.
        prompts (list): The batch.
        max_attempts (int): The most attempts per prompt.
        backoff (Backoff): When to make an attempt.

    """
    reason: dict[int, str] = dict.fromkeys(range(len(prompts)), '')
    result: dict[int, Profile | str] = {}
    read, written = [0] * len(prompts), [0] * len(prompts)
    num_cut = [0] * len(prompts)
    rejected: set[int] = set()
    delay, is_transient = 0.0, False
    ended: Exception | None = None
    for attempt in range(max_attempts):
        left = list(reason)
        try:
            backoff.wait(delay)
            replies = client.ask([prompts[n] for n in left], attempt)
        except TransientError as error:
            reason = dict.fromkeys(left, str(error))
            is_transient = True
            try:
                hold = backoff.hold_after(error, _ADVICE)
            except FatalError as fatal:
                ended = fatal
                break
            # After it, not all threads at once.
            delay = hold + backoff.delay(attempt)
            continue
        except RejectedError as error:
            reason = dict.fromkeys(left, str(error))
            is_transient = False
            rejected.update(left)
            break
        except (FatalError, Stopped) as error:
            ended = error
            break
        is_transient, delay = False, 0.0
        for n, reply in zip(left, replies, strict=True):
            if isinstance(reply, RejectedError):
                result[n] = str(reply)
                del reason[n]
                rejected.add(n)
                continue
            read[n] += reply.prompt_tokens
            written[n] += reply.completion_tokens
            try:
                result[n] = parse_profile(reply.text)
                del reason[n]
            except ValueError as error:
                reason[n] = _describe(error, reply)
                num_cut[n] += reply.is_cut
                if num_cut[n] >= _MAX_CUT:
                    result[n] = reason.pop(n)
        if not reason:
            break
    if ended is None:
        result |= reason
    outcomes = [
        Outcome(
            prompts[n],
            result[n],
            read[n],
            written[n],
            is_transient and n in reason,
            n in rejected,
        )
        for n in sorted(result)
    ]
    return outcomes, ended


def _describe(error: ValueError, reply: Reply) -> str:
    if reply.is_cut:
        return f"{error}; 'max_completion_tokens' cut it off, raise it"
    return str(error)
