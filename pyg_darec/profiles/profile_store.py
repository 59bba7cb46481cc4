import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pyg_darec.profiles.profile import Profile
from pyg_darec.profiles.prompt import Id, Prompt
from pyg_darec.profiles.record_log import Record, RecordLog, read_records
from pyg_darec.profiles.written_ids import spellings

HEADER = {'format': 'pyg_darec.profiles', 'version': 1}
Key = tuple[Id, str, str]


@dataclass(frozen=True)
class Answer:
    r"""What a store holds about one prompt: a profile, or why there is none.

    Args:
        id (int or str): The node.
        prompt (str): The hash of the prompt.
        model (str): The model that was asked.
        split (str, optional): The hash of the training interactions that
            the prompt was written from.
        profile (str, optional): The profile.
        reasoning (str, optional): What the model says it is based on.
        error (str, optional): Why there is no profile.
    """

    id: Id
    prompt: str
    model: str
    split: str | None = None
    profile: str | None = None
    reasoning: str | None = None
    error: str | None = None

    @property
    def key(self) -> Key:
        return self.id, self.prompt, self.model

    def to_profile(self) -> Profile:
        return Profile(self.profile or '', self.reasoning or '')


class ProfileStore:
    r"""The profiles of one node type in a file, by id, prompt and model.

    .. code-block:: python

        with ProfileStore('profiles/item.jsonl') as store:
            generate_profiles(prompts, client, store)
            print(store.failed())

    Answers are appended to a file of JSON lines as they come. A process may
    be killed at any moment: no answer that was stored is lost, and a line
    that was not written to its end is cut off when the file is next opened.
    :meth:`finish` puts the lines into the order of ids, which makes files
    with the same answers equal byte by byte.

    An id has as many profiles as it had prompts and models. The current one
    is that which was stored or used last.

    Args:
        path (str or os.PathLike): The file; made if it does not exist.
        read_only (bool, optional): Reads the file as it is now, without
            changing or locking it. (default: :obj:`False`)

    Raises:
        RuntimeError: If another process is writing the file.
        ValueError: If the file is something else or a line is damaged.
        OSError: If the file cannot be read or written.
    """

    def __init__(
        self, path: str | os.PathLike[str], read_only: bool = False
    ) -> None:
        self.path = Path(path)
        self._log = None if read_only else RecordLog(path, HEADER)
        self._answers: dict[Key, Answer] = {}
        self._current: dict[Id, Answer] = {}
        try:
            if self._log is None:
                records = read_records(self.path, HEADER)
            else:
                records = self._log.records
            for number, record in enumerate(records, start=2):
                self._remember(_to_answer(record, number, self.path))
            records.clear()  # held once is enough
        except BaseException:
            self.close()
            raise

    def get(self, prompt: Prompt, model: str) -> Answer | None:
        r"""What :obj:`model` answered to :obj:`prompt`, if it was asked, be it
        for an id that is written alike, :obj:`7` and :obj:`'7'`.
        """
        keys = ((x, prompt.hash, model) for x in spellings(prompt.id))
        return next(
            (self._answers[k] for k in keys if k in self._answers), None
        )

    def current(self) -> dict[Id, Answer]:
        r"""The current answer of each id."""
        return dict(self._current)

    def profiles(self) -> dict[Id, Profile]:
        r"""The current profile of each id that has one."""
        return {
            answer.id: answer.to_profile()
            for answer in self._current.values()
            if answer.profile is not None
        }

    def failed(self) -> dict[Id, str]:
        r"""The ids that have no profile although it was asked for, and why."""
        return {
            answer.id: answer.error
            for answer in self._current.values()
            if answer.error is not None
        }

    def has_profile(self, model: str) -> bool:
        r"""Whether a current profile is of :obj:`model`."""
        return any(
            answer.model == model and answer.profile is not None
            for answer in self._current.values()
        )

    def add(self, answers: Iterable[Answer]) -> None:
        r"""Stores answers, all of them or, if that fails, none.

        Raises:
            OSError: If they cannot be written.
        """
        answers = list(answers)
        self._writable().append(map(_to_record, answers))
        for answer in answers:
            self._remember(answer)

    def finish(self) -> None:
        r"""Rewrites the file, in one step: in the order of ids, without
        failures and repetitions that a later line has replaced.

        Raises:
            OSError: If it cannot be written.
        """
        log = self._writable()
        # Stable: of one id, the current answer stays the last.
        answers = sorted(
            self._answers.values(), key=lambda a: (isinstance(a.id, str), a.id)
        )
        log.rewrite(map(_to_record, answers))

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._answers)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.path}')"

    def _writable(self) -> RecordLog:
        if self._log is None:
            raise ValueError(
                f"{self} was opened with 'read_only=True'; open it without to "
                'write to it (got read_only=True)'
            )
        return self._log

    def _remember(self, answer: Answer) -> None:
        # At the end, where the current answer of an id belongs.
        self._answers.pop(answer.key, None)
        self._answers[answer.key] = answer
        self._current[answer.id] = answer


def _to_record(answer: Answer) -> Record:
    return {k: v for k, v in asdict(answer).items() if v is not None}


def _to_answer(record: Record, number: int, path: Path) -> Answer:
    wrong = [k for k, v in record.items() if k != 'id' and type(v) is not str]
    kind = type(record.get('id'))
    has_result = ('profile' in record) != ('error' in record)
    try:
        answer = Answer(**record)
    except TypeError:
        answer = None
    if answer is None or wrong or kind not in (int, str) or not has_result:
        raise ValueError(
            f"Line {number} of '{path}' is no profile; delete it, and it is "
            f'asked for again (got {str(record)[:80]})'
        )
    return answer
