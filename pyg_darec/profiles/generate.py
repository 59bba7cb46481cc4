import os
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from pyg_darec.checks import check_count
from pyg_darec.profiles.client import Client
from pyg_darec.profiles.generation import Generation, Price
from pyg_darec.profiles.profile_store import Answer, ProfileStore
from pyg_darec.profiles.prompt import Prompt
from pyg_darec.profiles.run import Run
from pyg_darec.profiles.token_budget import TokenCounter, estimate_tokens


def generate_profiles(
    prompts: Iterable[Prompt],
    client: Client,
    store: ProfileStore | str | os.PathLike[str],
    retry_failed: bool = False,
    dry_run: bool = False,
    price: Price | None = None,
    max_attempts: int = 6,
    max_failures: int = 10,
    backoff: float = 1.0,
    count_tokens: TokenCounter = estimate_tokens,
    progress: bool = True,
) -> Generation:
    r"""Has a language model write profiles, and stores each as it comes.

    .. code-block:: python

        prompts = item_prompts(data, metadata)
        client = ChatClient('gpt-4o-mini')
        generate_profiles(prompts, client, 'profiles/item.jsonl')

    A prompt that the store has an answer to is not asked again. A run that
    was killed goes on where it was when it is started again, and a change of
    data or template costs only the prompts that it changes.

    Failed requests are made again after a delay that grows, or after the time
    that the endpoint names, for which all requests wait. Replies that hold no
    valid profile are asked for again as well, those that the limit of tokens
    cut off once. An id without a profile after all attempts is stored as
    failed and left alone until :obj:`retry_failed`, unless it was the request
    that failed last: such an id is :obj:`unanswered`, and the next run asks
    for it. What no prompt can get past (a wrong key, an unknown model, an
    endpoint out of reach) ends the run and is not held against ids; answers
    that were on the way by then are stored.

    Args:
        prompts (list): The prompts, one per id.
        client (Client): The language model, such as
            :class:`~pyg_darec.profiles.ChatClient` or
            :class:`~pyg_darec.profiles.TransformersClient`.
        store (ProfileStore or str or os.PathLike): The store, or its file.
        retry_failed (bool, optional): Asks failed ids again.
            (default: :obj:`False`)
        dry_run (bool, optional): Asks and stores nothing. The result holds
            the prompts that would be asked and estimates of the tokens of one
            attempt each, and prints well. (default: :obj:`False`)
        price (tuple, optional): The price of a million tokens read, and of a
            million written, to show the cost. (default: :obj:`None`)
        max_attempts (int, optional): The most attempts per prompt.
            (default: :obj:`6`)
        max_failures (int, optional): The number of prompts in a row, with no
            profile between them, whose failure ends the run. Those that the
            endpoint refuses do not count where the run, or the store, has a
            profile of the model. (default: :obj:`10`)
        backoff (float, optional): The seconds of the first delay.
            (default: :obj:`1.0`)
        count_tokens (callable, optional): The number of tokens in a text,
            for the dry run.
            (default: :func:`~pyg_darec.profiles.estimate_tokens`)
        progress (bool, optional): Shows a progress bar with the cost and the
            time left. (default: :obj:`True`)

    Returns:
        A :class:`~pyg_darec.profiles.Generation`.

    Raises:
        FatalError: If no prompt can be answered.
        ValueError: If two prompts have one id, or the store is damaged.
        RuntimeError: If another process is writing the store.
        OSError: If the store cannot be written.
    """
    check_count(max_attempts=max_attempts, max_failures=max_failures)
    prompts = list(prompts)
    for prompt_id, count in Counter(p.id for p in prompts).items():
        if count > 1:
            raise ValueError(
                f"'prompts' needs one prompt per id (got {count} of "
                f'{prompt_id!r})'
            )
    with _open(store, dry_run) as stored:
        todo = []
        for prompt in prompts:
            answer = stored.get(prompt, client.model)
            is_failed = answer is not None and answer.error is not None
            if answer is None or (retry_failed and is_failed):
                todo.append(prompt)
        out = Generation(price=price)
        if dry_run:
            out.pending = todo
            out.prompt_tokens = sum(
                count_tokens(p.system) + count_tokens(p.text) for p in todo
            )
            out.completion_tokens = len(todo) * client.max_completion_tokens
        else:
            stored.add(_reused(prompts, client.model, stored))
            run = Run(client, stored, out, max_attempts, max_failures, backoff)
            run(todo, len(prompts), progress)
            stored.finish()
        for prompt in prompts:
            answer = stored.get(prompt, client.model)
            if answer is not None and answer.error is not None:
                out.failed[prompt.id] = answer.error
            elif answer is not None:
                out.profiles[prompt.id] = answer.to_profile()
    return out


def _open(
    store: ProfileStore | str | os.PathLike[str], dry_run: bool
) -> AbstractContextManager[ProfileStore]:
    if isinstance(store, ProfileStore):
        return nullcontext(store)
    # A dry run leaves no file behind.
    is_absent = dry_run and not Path(store).exists()
    return ProfileStore(os.devnull if is_absent else store, read_only=dry_run)


def _reused(
    prompts: list[Prompt], model: str, store: ProfileStore
) -> list[Answer]:
    """Stored answers that have not been the current ones of their ids, or
    that were given to a prompt from other training interactions, or for an id
    of another type.
    """
    current = store.current()
    out = []
    for prompt in prompts:
        answer = store.get(prompt, model)
        if answer is None:
            continue
        updated = replace(answer, id=prompt.id, split=prompt.split)
        if updated != current.get(prompt.id):
            out.append(updated)
    return out
