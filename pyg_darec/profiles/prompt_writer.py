from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.prompt import Id, Prompt
from pyg_darec.profiles.prompt_template import PromptTemplate
from pyg_darec.profiles.token_budget import (
    TokenCounter,
    bound_text,
    share_budget,
    truncate,
)

NOTHING = '(none)'
_LEAST = 16  # tokens; less of a text is of no use


class Source(NamedTuple):
    """A line of data: its placeholder, what stands before it, its text."""

    section: str
    prefix: str
    text: str


class PromptWriter:
    r"""Fills a template with as much data as the budget allows.

    Args:
        template (PromptTemplate): The words around the data.
        sections (list): The placeholders that exist.
        max_tokens (int): The most tokens of a prompt.
        count_tokens (callable): The number of tokens in a text.

    Raises:
        ValueError: If the template has unknown placeholders or leaves no
            room for data.
    """

    def __init__(
        self,
        template: PromptTemplate,
        sections: Sequence[str],
        max_tokens: int,
        count_tokens: TokenCounter,
    ) -> None:
        template.check(sections)
        self.template = template
        self.sections = sections
        self.max_tokens = max_tokens
        self.count_tokens = count_tokens
        self._room = max_tokens - self._count(self._fill([]))
        if self._room < _LEAST:
            raise ValueError(
                f"'max_tokens' needs to be {max_tokens - self._room + _LEAST} "
                'or more: the template alone takes '
                f'{max_tokens - self._room} tokens (got {max_tokens})'
            )

    def write(
        self, id: Id, sources: Sequence[Source], split: str | None
    ) -> Prompt | None:
        r"""Writes one prompt.

        Args:
            id (int or str): The node that it asks about.
            sources (list): The data, the most important first.
            split (str, optional): The hash of the training interactions that
                were read for it.

        Returns:
            The prompt, or :obj:`None` if no source has a text.

        Raises:
            ValueError: If there is no room for any of the texts.
        """
        bounded = (s._replace(text=self._clean(s.text)) for s in sources)
        lines = [source for source in bounded if source.text]
        if not lines:
            return None
        text = self._fit(lines, self.max_tokens)
        if text is None:
            enough = 2 * self.max_tokens
            while self._fit(lines, enough) is None:
                enough *= 2
            raise ValueError(
                "'max_tokens' is too low for any text beside the template; "
                f'{enough} are enough for id {id!r} (got {self.max_tokens})'
            )
        return Prompt(id, text, self.template.system, split)

    def write_all(
        self,
        sources: Iterable[tuple[Id, Sequence[Source]]],
        split: str | None,
    ) -> tuple[list[Prompt], list[Id]]:
        r"""Writes the prompts of nodes, and tells those without a text."""
        prompts: list[Prompt] = []
        empty: list[Id] = []
        for id, some in sources:
            prompt = self.write(id, some, split)
            if prompt is None:
                empty.append(id)
            else:
                prompts.append(prompt)
        return prompts, empty

    def _clean(self, text: str) -> str:
        return clean_text(bound_text(text, self.max_tokens))

    def _fit(self, lines: Sequence[Source], max_tokens: int) -> str | None:
        """The filled template, if any of the lines has room in it."""
        needs = [self.count_tokens(s.prefix + s.text) + 1 for s in lines]
        room = self._room + max_tokens - self.max_tokens
        while some := self._cut(lines, needs, room):
            text = self._fill(some)
            excess = self._count(text) - max_tokens
            if excess <= 0:
                return text
            # The tokens of a whole are not always those of its parts.
            room -= excess
        return None

    def _cut(
        self, lines: Sequence[Source], needs: Sequence[int], room: int
    ) -> list[Source]:
        out = []
        # Where the whole took more than its parts, too little is left for a
        # text of use, and the first one has to do with it.
        shares = share_budget(needs, room, max(min(_LEAST, room), 0))
        for line, need, share in zip(lines, needs, shares, strict=True):
            if 0 < share < need:
                line = self._truncate(line, share)
            if share > 0 and line.text:
                out.append(line)
        return out

    def _truncate(self, line: Source, share: int) -> Source:
        """The beginning of a text. What stands before it, such as the name of
        a field, takes half of the share at most, or is left out if that is
        still too much.
        """
        count, half = self.count_tokens, share // 2
        mark, _, name = line.prefix.partition(' ')
        prefixes = [line.prefix, f'{mark} ']
        if count(line.prefix) > half:
            left = half - count(f'{mark} : ')
            name = truncate(name.removesuffix(': '), left, count)
            prefixes[0] = f'{mark} {name}: ' if name else f'{mark} '
        for prefix in prefixes:
            text = truncate(line.text, share - count(prefix) - 1, count)
            if text:
                return line._replace(prefix=prefix, text=text)
        return line._replace(text='')

    def _fill(self, lines: Sequence[Source]) -> str:
        values = {
            section: '\n'.join(
                line.prefix + line.text
                for line in lines
                if line.section == section
            )
            for section in self.sections
        }
        return self.template.fill({k: v or NOTHING for k, v in values.items()})

    def _count(self, text: str) -> int:
        return self.count_tokens(self.template.system) + self.count_tokens(text)
