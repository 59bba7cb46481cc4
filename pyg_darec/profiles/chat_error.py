"""What the errors of a chat endpoint mean for the requests that follow."""

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pyg_darec.profiles.client import (
    FatalError,
    RejectedError,
    TransientError,
)

if TYPE_CHECKING:
    from openai import APIStatusError

_RETRIED = (408, 409, 425, 429)  # and all of 500 and above
# Words of a 403 that is about what the prompt says, not about the key.
_FLAGGED = re.compile('moderat|flagged', re.IGNORECASE)


def explain_error(
    error: Exception, endpoint: str, key_variable: str
) -> TransientError | RejectedError | FatalError:
    r"""Translates what the :obj:`openai` client or a library below it raised.

    Args:
        error (Exception): The error.
        endpoint (str): What messages call the endpoint.
        key_variable (str): The environment variable that holds the key.
    """
    import openai

    if isinstance(error, openai.APITimeoutError):
        return TransientError(
            f"{endpoint} did not answer in time; raise 'timeout' if it is "
            f'slow (got {error})'
        )
    if isinstance(error, openai.APIConnectionError):
        return TransientError(
            f'{endpoint} cannot be reached, or broke the connection off; check '
            f'that it runs at this address (got {error.__cause__ or error})'
        )
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, endpoint, key_variable)
    if isinstance(error, ValueError | openai.APIResponseValidationError):
        return TransientError(
            f'The answer of {endpoint} is not valid JSON (got {error})'
        )
    return FatalError(
        f'{endpoint} cannot be asked; check its address and options '
        f'(got {type(error).__name__}: {error})'
    )


def _explain_status(
    error: 'APIStatusError', endpoint: str, key_variable: str
) -> TransientError | RejectedError | FatalError:
    status = error.status_code
    if status == 403 and _FLAGGED.search(f'{error.message} {error.body}'):
        return RejectedError(
            f'{endpoint} does not take the words of the prompt '
            f'(got HTTP 403: {error.message})'
        )
    if status in (401, 403):
        # Without the words of the endpoint, which often quote the key.
        return FatalError(
            f'{endpoint} refuses the key; set the environment variable '
            f'{key_variable} to one that is valid for it (got HTTP {status})'
        )
    if status in (404, 405) or status < 400:
        return FatalError(
            f'{endpoint} does not exist; check the name of the model and '
            f'the address (got HTTP {status}: {error.message})'
        )
    if status == 402 or error.code == 'insufficient_quota':
        return FatalError(
            f'The account of {endpoint} has nothing left to spend; top it up '
            f'and start again (got HTTP {status}: {error.message})'
        )
    if status in _RETRIED or status >= 500:
        return TransientError(
            f'{endpoint} failed (got HTTP {status}: {error.message})',
            _retry_after(error.response.headers.get('retry-after')),
        )
    return RejectedError(
        f'{endpoint} rejects the prompt (got HTTP {status}: {error.message})'
    )


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a number of them or a date."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
