from collections.abc import Mapping, Sequence
from typing import Any

from pyg_darec.checks import check_count
from pyg_darec.profiles.client import Reply, TransientError
from pyg_darec.profiles.endpoint import Endpoint
from pyg_darec.profiles.prompt import Prompt


class ChatClient(Endpoint):
    r"""A model behind any endpoint that speaks the OpenAI chat protocol:
    hosted, vLLM, Ollama and many others (needs
    :obj:`pip install openai`).

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
        super().__init__(model, base_url, key_variable, timeout)
        check_count(
            max_concurrency=max_concurrency,
            max_completion_tokens=max_completion_tokens,
        )
        self.max_concurrency = max_concurrency
        self.max_completion_tokens = max_completion_tokens
        self.options = dict(options or {})

    def ask(self, prompts: Sequence[Prompt], attempt: int = 0) -> list[Reply]:
        r"""Makes one request per prompt, without a retry of its own."""
        return [self._ask(prompt) for prompt in prompts]

    def _ask(self, prompt: Prompt) -> Reply:
        client = self.connect()
        try:
            answer = client.chat.completions.create(
                model=self.model,
                messages=prompt.messages,  # type: ignore[arg-type]
                max_completion_tokens=self.max_completion_tokens,
                extra_body=self.options,
            )
        except Exception as error:
            failure = self.explain(error)
        else:
            return self._read(answer)
        # Outside of the block: the error there knows the request and its key.
        raise failure

    def _read(self, answer: Any) -> Reply:
        choices = getattr(answer, 'choices', None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, 'message', None)
        content = getattr(message, 'content', 0)
        if not isinstance(content, str | None):
            raise TransientError(
                f'The answer of {self} has no choices with a text '
                f'(got {self.shorten(str(answer))})'
            )
        usage = getattr(answer, 'usage', None)
        return Reply(
            self.redact(content or ''),
            _count(usage, 'prompt_tokens'),
            _count(usage, 'completion_tokens'),
            getattr(choice, 'finish_reason', None) == 'length',
        )


def _count(usage: Any, name: str) -> int:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) else 0
