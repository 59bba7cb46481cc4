from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from tqdm.auto import tqdm

from pyg_darec.profiles.ask import Outcome, ask
from pyg_darec.profiles.backoff import Backoff
from pyg_darec.profiles.client import Client, FatalError
from pyg_darec.profiles.generation import Generation
from pyg_darec.profiles.profile import Profile
from pyg_darec.profiles.profile_store import Answer, ProfileStore
from pyg_darec.profiles.prompt import Prompt

Work = Future[tuple[list[Outcome], Exception | None]]


class Run:
    r"""One run over prompts: threads ask, and the thread that called stores.

    Args:
        client (Client): The language model.
        store (ProfileStore): The store.
        total (Generation): Where tokens are counted.
        max_attempts (int): The most attempts per prompt.
        max_failures (int): The number of failures in a row that ends the run.
        backoff (float): The seconds of the first delay.
    """

    def __init__(
        self,
        client: Client,
        store: ProfileStore,
        total: Generation,
        max_attempts: int,
        max_failures: int,
        backoff: float,
    ) -> None:
        self.client = client
        self.store = store
        self.total = total
        self.max_attempts = max_attempts
        self.max_failures = max_failures
        self._backoff = Backoff(backoff)
        # Failures since the last profile, which are the fault of their ids
        # only if others fare better.
        self._held: list[Outcome] = []
        self._any_profile = False
        # Whether the model answers at all, with these or earlier prompts.
        self._is_known = store.has_profile(client.model)
        self._num_done = 0
        self._work: set[Work] = set()

    def __call__(
        self, prompts: Sequence[Prompt], size: int, progress: bool
    ) -> None:
        r"""Asks all prompts.

        Args:
            prompts (list): The prompts.
            size (int): The number of prompts with those that were answered.
            progress (bool): Whether to show a progress bar.

        Raises:
            FatalError: If no prompt can be answered.
        """
        step = self.client.batch_size
        batches = (
            prompts[start : start + step]
            for start in range(0, len(prompts), step)
        )
        done = size - len(prompts)
        with (
            ThreadPoolExecutor(self.client.max_concurrency) as pool,
            tqdm(
                total=size,
                initial=done,
                desc='Generating',
                unit='profile',
                disable=not progress,
            ) as bar,
        ):
            try:
                for batch in batches:
                    self._work.add(pool.submit(self._ask, batch))
                    # No more than the threads can take: prompts that wait in
                    # a queue would all be asked after an interruption.
                    while len(self._work) >= self.client.max_concurrency:
                        self._collect(bar, len(prompts))
                while self._work:
                    self._collect(bar, len(prompts))
            except BaseException:
                self._drain()
                raise
        self._finish()

    def _ask(
        self, batch: Sequence[Prompt]
    ) -> tuple[list[Outcome], Exception | None]:
        return ask(self.client, batch, self.max_attempts, self._backoff)

    def _collect(self, bar: Any, num_asked: int) -> None:
        """Stores what is there, one batch at least."""
        for work in wait(self._work, return_when=FIRST_COMPLETED).done:
            self._work.discard(work)
            outcomes, error = work.result()
            if error is not None:
                self._store(list(filter(_is_profile, outcomes)))
                raise error
            self._record(outcomes)
            self._num_done += len(outcomes)
            bar.update(len(outcomes))
            self._show_cost(bar, num_asked)

    def _drain(self) -> None:
        """Stores what the requests that are on their way still bring."""
        self._backoff.stop()
        for work in wait(self._work).done:
            with suppress(Exception):
                outcomes, _ = work.result()
                self._store(list(filter(_is_profile, outcomes)))

    def _record(self, outcomes: list[Outcome]) -> None:
        self.total.prompt_tokens += sum(o.prompt_tokens for o in outcomes)
        self.total.completion_tokens += sum(
            o.completion_tokens for o in outcomes
        )
        if any(map(_is_profile, outcomes)):
            self._any_profile = self._is_known = True
            self._store([*self._held, *outcomes])
            self._held = []
            return
        if self._is_known:
            # It is these prompts that it refuses, and many neighbours may be
            # alike: held, they would end this run and each after it.
            self._store([o for o in outcomes if o.is_rejected])
            outcomes = [o for o in outcomes if not o.is_rejected]
        self._held += outcomes
        if len(self._held) >= self.max_failures:
            raise FatalError(
                f'{len(self._held)} prompts in a row brought no profile; '
                'start again when the reason is removed, nothing that is '
                f'stored is asked again (got {self._held[-1].result} for id '
                f'{self._held[-1].prompt.id!r})'
            )

    def _finish(self) -> None:
        transient = [o for o in self._held if o.is_transient]
        if transient and not self._any_profile:
            raise FatalError(
                f'{transient[-1].result}; no prompt was answered, start '
                'again when the reason is removed'
            )
        self._store(self._held)

    def _store(self, outcomes: list[Outcome]) -> None:
        model, kept = self.client.model, []
        for outcome in outcomes:
            prompt, result = outcome.prompt, outcome.result
            if not outcome.is_transient:
                kept.append(_to_answer(outcome, model))
            # One that failed before is stored as such, and stays so.
            elif self.store.get(prompt, model) is None:
                self.total.unanswered[prompt.id] = str(result)
        self.store.add(kept)

    def _show_cost(self, bar: Any, num_asked: int) -> None:
        cost = self.total.cost
        # A bar that is not shown counts nothing.
        if cost is not None and not bar.disable:
            share = self._num_done / num_asked
            bar.set_postfix(cost=f'{cost:.4f} of about {cost / share:.4f}')


def _is_profile(outcome: Outcome) -> bool:
    return isinstance(outcome.result, Profile)


def _to_answer(outcome: Outcome, model: str) -> Answer:
    prompt, result = outcome.prompt, outcome.result
    key = prompt.id, prompt.hash, model, prompt.split
    if isinstance(result, Profile):
        return Answer(*key, profile=result.text, reasoning=result.reasoning)
    return Answer(*key, error=result)
