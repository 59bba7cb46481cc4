import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyg_darec.checks import check_positive
from pyg_darec.profiles.chat_error import explain_error
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.client import (
    FatalError,
    RejectedError,
    TransientError,
)

if TYPE_CHECKING:
    from openai import OpenAI


class Endpoint:
    r"""A connection to anything that speaks the OpenAI protocol.

    The key is read from the environment when the first request is made, and
    sent to the endpoint and nowhere else.

    Args:
        model (str): The name of the model.
        base_url (str, optional): The address. If :obj:`None`,
            :obj:`$OPENAI_BASE_URL`, or OpenAI. (default: :obj:`None`)
        key_variable (str, optional): The environment variable that holds the
            key. (default: :obj:`'OPENAI_API_KEY'`)
        timeout (float, optional): The most seconds to wait for an answer.
            (default: :obj:`120.0`)

    Raises:
        ValueError: If :obj:`base_url` is no address of the web or holds a
            password, or :obj:`timeout` is not positive.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        key_variable: str = 'OPENAI_API_KEY',
        timeout: float = 120.0,
    ) -> None:
        check_positive(timeout=timeout)
        base_url = base_url or os.environ.get('OPENAI_BASE_URL') or None
        _check_url(base_url)
        self.model = model
        self.base_url = base_url
        self.key_variable = key_variable
        self.timeout = timeout
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    def connect(self) -> 'OpenAI':
        r"""The :obj:`openai` client, which makes no retries of its own.

        Raises:
            FatalError: If there is no valid key and OpenAI is asked.
            ImportError: If :obj:`openai` is not installed.
        """
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def explain(
        self, error: Exception
    ) -> TransientError | RejectedError | FatalError:
        r"""What an error of the client means, without the key."""
        out = explain_error(error, str(self), self.key_variable)
        out.args = tuple(self.shorten(str(arg)) for arg in out.args)
        return out

    def shorten(self, text: str) -> str:
        r"""The beginning of a text, with the key blotted out."""
        return clean_text(self.redact(text))[:500]

    def redact(self, text: str) -> str:
        key = self._key()
        # A shorter one is the 'none' or 'EMPTY' of an endpoint at home.
        return text.replace(key, '***') if len(key) >= 8 else text

    def __repr__(self) -> str:
        url = 'None' if self.base_url is None else f"'{self.base_url}'"
        return f"{self.__class__.__name__}('{self.model}', base_url={url})"

    def _key(self) -> str:
        return os.environ.get(self.key_variable, '').strip()

    def _make_client(self) -> 'OpenAI':
        try:
            import openai
        except ImportError as error:
            raise ImportError(
                f"'{self.__class__.__name__}' needs the openai client; run "
                "'pip install openai'"
            ) from error
        key = self._key()
        if not key and self.base_url is None:
            raise FatalError(
                f'{self} needs a key; set the environment variable '
                f"{self.key_variable}, or pass the 'base_url' of an endpoint "
                'that needs none (got no key)'
            )
        if not (key.isascii() and key.isprintable()):
            raise FatalError(
                f'The environment variable {self.key_variable} holds no valid '
                'key; copy it again (got characters that no key has)'
            )
        # Retries are made where all attempts are counted, and where all
        # requests wait when one is told to.
        return openai.OpenAI(
            api_key=key or 'none',
            base_url=self.base_url,
            max_retries=0,
            timeout=self.timeout,
        )


def _check_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ('http', 'https') and bool(parts.hostname)
        secret = '@' in parts.netloc or bool(parts.query)
    except ValueError:
        valid = secret = False
    if secret:
        raise ValueError(
            "'base_url' may not hold a password or a query, since it is shown "
            'in messages; put the key into an environment variable (got one '
            'that does)'
        )
    if not valid:
        raise ValueError(
            "'base_url' needs to be an address like "
            f"'http://localhost:8000/v1' (got {url!r})"
        )
