import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pyg_darec.checks import check_count, check_positive
from pyg_darec.profiles.chat_error import explain_error
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.client import FatalError, Reply, TransientError
from pyg_darec.profiles.prompt import Prompt

if TYPE_CHECKING:
    from openai import OpenAI


class ChatClient:
    r"""A model behind any endpoint that speaks the OpenAI chat protocol:
    hosted, vLLM, Ollama and many others (needs
    :obj:`pip install pyg-darec[llm]`).

    .. code-block:: python

        ChatClient('gpt-4o-mini')  # reads $OPENAI_API_KEY
        ChatClient('llama3.2', base_url='http://localhost:11434/v1')

    The key is read from the environment when the first request is made, and
    sent to the endpoint and nowhere else: texts that come back have it blotted
    out before they can become a message or a profile. Without one, only
    endpoints with a :obj:`base_url` are asked, as those at home need no key.

    Args:
        model (str): The name of the model.
        base_url (str, optional): The address of the endpoint. If
            :obj:`None`, :obj:`$OPENAI_BASE_URL`, or OpenAI.
            (default: :obj:`None`)
        key_variable (str, optional): The environment variable that holds the
            key. (default: :obj:`'OPENAI_API_KEY'`)
        max_concurrency (int, optional): The most requests at once.
            (default: :obj:`8`)
        timeout (float, optional): The most seconds to wait for an answer.
            (default: :obj:`120.0`)
        max_completion_tokens (int, optional): The most tokens of a reply.
            (default: :obj:`1024`)
        options (dict, optional): More fields of the request, for example
            :obj:`{'temperature': 0, 'response_format': {'type':
            'json_object'}}`. (default: :obj:`None`)

    Raises:
        ValueError: If :obj:`base_url` is no address of the web or holds a
            password, or a number is not positive.
    """

    batch_size = 1

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        key_variable: str = 'OPENAI_API_KEY',
        max_concurrency: int = 8,
        timeout: float = 120.0,
        max_completion_tokens: int = 1024,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        check_count(
            max_concurrency=max_concurrency,
            max_completion_tokens=max_completion_tokens,
        )
        check_positive(timeout=timeout)
        base_url = base_url or os.environ.get('OPENAI_BASE_URL') or None
        _check_url(base_url)
        self.model = model
        self.base_url = base_url
        self.key_variable = key_variable
        self.max_concurrency = max_concurrency
        self.timeout = timeout
        self.max_completion_tokens = max_completion_tokens
        self.options = dict(options or {})
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    def ask(self, prompts: Sequence[Prompt], attempt: int = 0) -> list[Reply]:
        r"""Makes one request per prompt, without a retry of its own."""
        return [self._ask(prompt) for prompt in prompts]

    def _ask(self, prompt: Prompt) -> Reply:
        client = self._connect()
        try:
            answer = client.chat.completions.create(
                model=self.model,
                messages=prompt.messages,  # type: ignore[arg-type]
                max_completion_tokens=self.max_completion_tokens,
                extra_body=self.options,
            )
        except Exception as error:
            failure = explain_error(error, str(self), self.key_variable)
        else:
            return self._read(answer)
        failure.args = tuple(map(self._shorten, failure.args))
        # Outside of the block: the error there knows the request and its key.
        raise failure

    def _connect(self) -> 'OpenAI':
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> 'OpenAI':
        try:
            import openai
        except ImportError as error:
            raise ImportError(
                "'ChatClient' needs the openai client; run "
                "'pip install pyg-darec[llm]'"
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
        # Retries are made in one place, 'generate_profiles', which counts all
        # attempts and lets all requests wait when one is told to.
        return openai.OpenAI(
            api_key=key or 'none',
            base_url=self.base_url,
            max_retries=0,
            timeout=self.timeout,
        )

    def _read(self, answer: Any) -> Reply:
        choices = getattr(answer, 'choices', None)
        if not choices or not hasattr(choices[0], 'message'):
            raise TransientError(
                f'The answer of {self} has no choices '
                f'(got {self._shorten(str(answer))})'
            )
        usage = getattr(answer, 'usage', None)
        return Reply(
            self._redact(choices[0].message.content or ''),
            getattr(usage, 'prompt_tokens', None) or 0,
            getattr(usage, 'completion_tokens', None) or 0,
            choices[0].finish_reason == 'length',
        )

    def _key(self) -> str:
        return os.environ.get(self.key_variable, '').strip()

    def _redact(self, text: str) -> str:
        key = self._key()
        # A shorter one is the 'none' or 'EMPTY' of an endpoint at home.
        return text.replace(key, '***') if len(key) >= 8 else text

    def _shorten(self, text: str) -> str:
        return clean_text(self._redact(text))[:500]

    def __repr__(self) -> str:
        url = 'None' if self.base_url is None else f"'{self.base_url}'"
        return f"{self.__class__.__name__}('{self.model}', base_url={url})"


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
