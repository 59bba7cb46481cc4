from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pyg_darec.checks import check_count
from pyg_darec.profiles.backoff import Backoff
from pyg_darec.profiles.client import RejectedError, TransientError
from pyg_darec.profiles.endpoint import Endpoint

_ADVICE = 'run again after that, which goes on where this one stopped'
_NUMBERS = ({float}, {int}, {int, float})


class EmbeddingClient(Endpoint):
    r"""An encoder behind any endpoint that speaks the OpenAI embeddings
    protocol (needs :obj:`pip install openai`).

    .. code-block:: python

        client = EmbeddingClient('text-embedding-3-small')
        encode_profiles(texts, 'embeddings/item', client)

    The key is read from the environment and sent to the endpoint and nowhere
    else. Requests that fail are made again after a delay that grows, or after
    the time that the endpoint names, for which all requests wait.

    Args:
        model (str): The name of the model.
        base_url (str, optional): The address of the endpoint. If
            :obj:`None`, :obj:`$OPENAI_BASE_URL`, or OpenAI.
            (default: :obj:`None`)
        dim (int, optional): The width of the embeddings: asked for, and
            checked. (default: :obj:`None`)
        key_variable (str, optional): The environment variable that holds the
            key. (default: :obj:`'OPENAI_API_KEY'`)
        batch_size (int, optional): The number of texts in a request.
            (default: :obj:`64`)
        max_concurrency (int, optional): The most requests at once.
            (default: :obj:`4`)
        max_attempts (int, optional): The most attempts per request.
            (default: :obj:`6`)
        backoff (float, optional): The seconds of the first delay.
            (default: :obj:`1.0`)
        timeout (float, optional): The most seconds to wait for an answer.
            (default: :obj:`120.0`)

    Raises:
        ValueError: If :obj:`base_url` is no address of the web or holds a
            password, or a number is not positive.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        dim: int | None = None,
        key_variable: str = 'OPENAI_API_KEY',
        batch_size: int = 64,
        max_concurrency: int = 4,
        max_attempts: int = 6,
        backoff: float = 1.0,
        timeout: float = 120.0,
    ) -> None:
        super().__init__(model, base_url, key_variable, timeout)
        check_count(
            dim=dim,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            max_attempts=max_attempts,
        )
        self.dim = dim
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.max_attempts = max_attempts
        self.backoff = backoff

    @property
    def chunk_size(self) -> int:
        """The number of texts that all requests at once hold."""
        return self.batch_size * self.max_concurrency

    @property
    def identity(self) -> str:
        """What tells its embeddings from those of another."""
        return f'{self.base_url or "OpenAI"} {self.model} {self.dim}'

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        r"""Embeds texts, in their order.

        Raises:
            FatalError: If no text can be embedded.
            RejectedError: If the endpoint does not take a text.
            TransientError: If a request failed at every attempt.
            ValueError: If the endpoint returns anything but one vector of
                width :obj:`dim` per text.
        """
        size, backoff = self.batch_size, Backoff(self.backoff)
        parts = [
            list(texts[start : start + size])
            for start in range(0, len(texts), size)
        ]
        with ThreadPoolExecutor(self.max_concurrency) as pool:
            futures = [pool.submit(self._embed, p, backoff) for p in parts]
            try:
                rows = [future.result() for future in futures]
            except BaseException:
                backoff.stop()  # none of the others goes on asking
                raise
        for part, x in zip(parts, rows, strict=True):
            self._check_width({x.shape[1]}, rows[0].shape[1], part)
        return np.concatenate(rows)

    def _embed(self, texts: list[str], backoff: Backoff) -> np.ndarray:
        delay = 0.0
        attempt = 0
        while True:
            backoff.wait(delay)
            try:
                return self._ask(texts)
            except TransientError as error:
                attempt += 1
                if attempt >= self.max_attempts:
                    raise
                hold = backoff.hold_after(error, _ADVICE)
                delay = hold + backoff.delay(attempt - 1)

    def _ask(self, texts: list[str]) -> np.ndarray:
        client = self.connect()
        options = {} if self.dim is None else {'dimensions': self.dim}
        try:
            answer = client.embeddings.create(
                model=self.model,
                input=texts,
                encoding_format='float',  # the one that all endpoints know
                extra_body=options,
            )
        except Exception as error:
            failure = self.explain(error)
            if isinstance(failure, RejectedError):
                longest = max(texts, key=len)
                failure = RejectedError(
                    f'{failure}; the longest of its {len(texts)} texts has '
                    f'{len(longest)} characters: {longest!r:.80}'
                )
        else:
            return self._read(answer, texts)
        # Outside of the block: the error there knows the request and its key.
        raise failure

    def _read(self, answer: Any, texts: list[str]) -> np.ndarray:
        """The rows in the order of the texts. An answer that is none may come
        of a proxy or a server that is busy, and is asked for again.
        """
        parts = getattr(answer, 'data', None)
        if not isinstance(parts, list):
            raise TransientError(
                f'The answer of {self} has no embeddings '
                f'(got {self.shorten(str(answer))})'
            )
        if len(parts) != len(texts):
            raise TransientError(
                f'{self} needs to return one embedding per text (got '
                f'{len(parts)} for {len(texts)} texts)'
            )
        rows: list[Any] = [getattr(part, 'embedding', None) for part in parts]
        for row in rows:
            if not _is_vector(row):
                raise TransientError(
                    f'{self} needs to return a list of numbers per text '
                    f'(got {self.shorten(str(row)):.80})'
                )
        places = [getattr(part, 'index', None) for part in parts]
        if places != [None] * len(parts):  # or else they are in our order
            numbers = sorted(n for n in places if type(n) is int)
            if numbers != list(range(len(parts))):
                raise TransientError(
                    f'{self} needs to number its embeddings from 0 to '
                    f'{len(parts) - 1}, each once (got '
                    f'{self.shorten(str(places)):.80})'
                )
            rows = [row for _, row in sorted(zip(places, rows, strict=True))]
        self._check_width({len(row) for row in rows}, len(rows[0]), texts)
        return np.array(rows, dtype=np.float32)

    def _check_width(
        self, widths: set[int], first: int, texts: list[str]
    ) -> None:
        wanted = first if self.dim is None else self.dim
        if widths != {wanted}:
            raise ValueError(
                f"{self} returned embeddings of another width; set 'dim' to "
                'one that the model has and use one model for all texts (got '
                f'{min(widths - {wanted})}, not {wanted}, for a text like '
                f'{texts[0]!r:.80})'
            )


def _is_vector(row: Any) -> bool:
    return isinstance(row, list) and set(map(type, row)) in _NUMBERS
