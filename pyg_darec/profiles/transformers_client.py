from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from pyg_darec.checks import check_count
from pyg_darec.modes import keeping_modes
from pyg_darec.profiles.client import RejectedError, Reply
from pyg_darec.profiles.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TransformersClient:
    r"""A causal language model of :obj:`transformers` on this machine.

    .. code-block:: python

        TransformersClient('Qwen/Qwen2.5-1.5B-Instruct', device='cuda')

    Prompts are put into the chat template of the tokenizer if it has one, and
    answered in batches: greedily at first, and sampled with the number of the
    attempt for a seed where an earlier reply was not valid.

    Args:
        model (str or PreTrainedModel): The name or the local folder of a
            model, loaded when it is first needed, or a model.
        tokenizer (PreTrainedTokenizerBase, optional): The tokenizer of a
            model that is passed as such. (default: :obj:`None`)
        name (str, optional): What identifies the model in a store. If
            :obj:`None`, the name it was loaded by. (default: :obj:`None`)
        batch_size (int, optional): The number of prompts that go through the
            model at once. (default: :obj:`8`)
        max_completion_tokens (int, optional): The most tokens of a reply.
            (default: :obj:`512`)
        device (torch.device or str, optional): Where a named model is put.
            (default: :obj:`'cpu'`)

    Raises:
        ValueError: If a model has no tokenizer or no name, or a number is
            not positive.
    """

    max_concurrency = 1

    def __init__(
        self,
        model: 'str | PreTrainedModel',
        tokenizer: 'PreTrainedTokenizerBase | None' = None,
        name: str | None = None,
        batch_size: int = 8,
        max_completion_tokens: int = 512,
        device: torch.device | str = 'cpu',
    ) -> None:
        check_count(
            batch_size=batch_size, max_completion_tokens=max_completion_tokens
        )
        if not isinstance(model, str) and tokenizer is None:
            raise ValueError(
                "'tokenizer' needs to be the one of the model, or 'model' a "
                f"name to load both by (got '{type(model).__name__}' and None)"
            )
        path = str(
            model if isinstance(model, str) else model.config.name_or_path
        )
        if not (name or path):
            raise ValueError(
                "'name' is needed for a model that was not loaded by one, to "
                'tell its profiles from those of another (got None)'
            )
        self.model: str = name or path
        self.batch_size = batch_size
        self.max_completion_tokens = max_completion_tokens
        self.device = device
        self._path = path
        self._model: Any = None if isinstance(model, str) else model
        self._tokenizer: Any = tokenizer

    def ask(
        self, prompts: Sequence[Prompt], attempt: int = 0
    ) -> list[Reply | RejectedError]:
        r"""Answers a batch of prompts."""
        if self._model is None:
            self._load()
        tokens = [self._encode(prompt) for prompt in prompts]
        room = self._context() - self.max_completion_tokens
        fitting = [n for n, ids in enumerate(tokens) if len(ids) <= room]
        replies: list[Reply | RejectedError] = [
            RejectedError(
                f"The prompt does not fit into '{self.model}'; lower "
                f"'max_tokens' to {room} and count with its tokenizer "
                f'(got {len(ids)} tokens)'
            )
            for ids in tokens
        ]
        if fitting:
            answers = self._generate([tokens[n] for n in fitting], attempt)
            for n, reply in zip(fitting, answers, strict=True):
                replies[n] = reply
        return replies

    def _load(self) -> None:
        import transformers

        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                self._path
            )
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                self._path, dtype='auto'
            )
        except (OSError, ValueError) as error:
            first_line = str(error).strip().split('\n')[0]
            raise ValueError(
                f"No language model '{self._path}' can be loaded; check the "
                'name and the connection, or pass a local model folder '
                f'(got {type(error).__name__}: {first_line})'
            ) from error
        self._model = model.to(self.device)

    def _encode(self, prompt: Prompt) -> list[int]:
        tokenizer = self._tokenizer
        if tokenizer.chat_template is None:
            text = f'{prompt.system}\n\n{prompt.text}\n\n'.lstrip()
            ids: list[int] = tokenizer(text).input_ids
            return ids
        from jinja2 import TemplateError

        try:
            text = self._apply_template(prompt.messages)
        except TemplateError:  # of models that know no system message
            text = f'{prompt.system}\n\n{prompt.text}'
            text = self._apply_template([{'role': 'user', 'content': text}])
        ids = tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _apply_template(self, messages: list[dict[str, str]]) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return text

    def _context(self) -> int:
        config = self._model.config.get_text_config()
        return getattr(config, 'max_position_embeddings', None) or 1 << 62

    def _generate(self, tokens: list[list[int]], attempt: int) -> list[Reply]:
        ends = self._ends()
        width = max(map(len, tokens))
        # At the left, so that all prompts end where their replies begin.
        pad = [width - len(ids) for ids in tokens]
        x = [[ends[0]] * n + i for n, i in zip(pad, tokens, strict=True)]
        mask = [[0] * n + [1] * (width - n) for n in pad]
        device = self._model.device
        with (
            keeping_modes(self._model),
            torch.inference_mode(),
            torch.random.fork_rng(),
        ):
            torch.manual_seed(attempt)
            out = self._model.eval().generate(
                torch.tensor(x, device=device),
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=self.max_completion_tokens,
                do_sample=attempt > 0,
                num_beams=1,
                num_return_sequences=1,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )
        rows = out[:, width:].tolist()
        return [
            self._read(row, len(ids), ends)
            for row, ids in zip(rows, tokens, strict=True)
        ]

    def _ends(self) -> list[int]:
        """The tokens that end a reply."""
        ends = self._model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        if ends is None:
            raise ValueError(
                f"'{self.model}' needs a token that ends a reply; set "
                "'eos_token_id' of its 'generation_config' (got None)"
            )
        return list(ends) if isinstance(ends, list | tuple) else [ends]

    def _read(self, row: list[int], prompt: int, ends: list[int]) -> Reply:
        length = next((n for n, t in enumerate(row) if t in ends), len(row))
        text = self._tokenizer.decode(row[:length], skip_special_tokens=True)
        # Without an end it was the limit.
        return Reply(text, prompt, length, length == len(row))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.model}')"
