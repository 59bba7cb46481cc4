from dataclasses import dataclass, field
from typing import TypeAlias

from pyg_darec.profiles.profile import Profile
from pyg_darec.profiles.prompt import Id, Prompt

Price: TypeAlias = tuple[float, float]  # per million tokens read and written


@dataclass
class Generation:
    r"""What became of prompts.

    Args:
        profiles (dict): The profiles by id, old and new.
        failed (dict): By id, why there is no profile.
        pending (list): The prompts that a dry run did not ask.
        prompt_tokens (int): The tokens that were read; in a dry run, an
            estimate of those that would be.
        completion_tokens (int): The tokens that were written; in a dry run,
            the most that would be if no prompt is asked again.
        price (tuple, optional): The price of a million tokens read, and of a
            million written.
        unanswered (dict): By id, why the endpoint did not answer. Nothing is
            stored of these; the next run asks for them again.
    """

    profiles: dict[Id, Profile] = field(default_factory=dict)
    failed: dict[Id, str] = field(default_factory=dict)
    pending: list[Prompt] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    price: Price | None = None
    unanswered: dict[Id, str] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        r"""The cost of the tokens, in the currency of :attr:`price`."""
        if self.price is None:
            return None
        read, written = self.price
        tokens = self.prompt_tokens * read + self.completion_tokens * written
        return tokens / 1e6

    def __str__(self) -> str:
        lines = [
            f'{len(self.profiles)} profiles, {len(self.failed)} failed, '
            f'{len(self.pending)} to ask for'
        ]
        for prompt in self.pending[:1]:
            lines = [f'{prompt.system}\n\n{prompt.text}\n', *lines]
        if self.failed:
            *_, reason = self.failed.values()
            lines.append(
                'what failed is asked again with retry_failed (got '
                f'{reason:.200})'
            )
        if self.unanswered:
            *_, reason = self.unanswered.values()
            lines.append(
                f'{len(self.unanswered)} were not answered and are left for '
                f'the next run (got {reason})'
            )
        about = most = retries = ''
        if self.pending:
            about, most, retries = 'about ', 'at most ', ', without retries'
        lines.append(
            f'{about}{self.prompt_tokens} tokens to read, '
            f'{most}{self.completion_tokens} to write{retries}'
        )
        if self.cost is not None:
            lines.append(f'{most}{self.cost:.4f} to pay{retries}')
        return '\n'.join(lines)
