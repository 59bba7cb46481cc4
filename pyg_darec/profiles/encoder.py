import hashlib
import json
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Union

import torch

from pyg_darec.checks import check_count, without_addresses

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Encoder: TypeAlias = Union[
    str, os.PathLike[str], 'SentenceTransformer', Callable[[list[str]], Any]
]
PRECISIONS = ('float32', 'float16', 'bfloat16')


class TextEncoder:
    r"""One surface for everything that turns texts into vectors, as a context
    manager where it may use several processes.

    Args:
        encoder (str, SentenceTransformer or callable): The name or the local
            folder of a sentence-transformers model, such a model, or a
            function from a list of texts to an array with one row per text.
            A named model is loaded when it is first needed.
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)
        devices (str or list, optional): The device of a model, or one per
            process. (default: :obj:`None`)
        precision (str, optional): The type that the weights of a named model
            are cast to. (default: :obj:`None`)

    Raises:
        TypeError: If :obj:`encoder` is nothing of this.
        ValueError: If :obj:`batch_size` is not positive, or :obj:`devices`
            or :obj:`precision` do not apply.
    """

    def __init__(
        self,
        encoder: Encoder,
        batch_size: int = 64,
        devices: str | Sequence[str] | None = None,
        precision: str | None = None,
    ) -> None:
        check_count(batch_size=batch_size)
        self.encoder = encoder
        self.batch_size = batch_size
        self.devices = [devices] if isinstance(devices, str) else devices
        self.precision = precision
        self._model: Any = encoder if _is_model(encoder) else None
        self._pool: Any = None
        self._is_named = isinstance(encoder, str | os.PathLike)
        if not self._is_model and not callable(encoder):
            raise TypeError(
                "'encoder' needs to be the name or folder of a "
                "sentence-transformers model, a 'SentenceTransformer' or a "
                "callable 'list[str] -> array' "
                f"(got '{type(encoder).__name__}')"
            )
        if devices is not None and (not devices or not self._is_model):
            raise ValueError(
                "'devices' needs to name one or more devices for a "
                'sentence-transformers model; anything else chooses its own '
                f'(got {devices!r} for {describe(encoder)})'
            )
        if precision is not None and not (
            self._is_named and precision in PRECISIONS
        ):
            raise ValueError(
                f"'precision' needs to be one of {PRECISIONS}, for a model "
                'given by name; cast any other before it is passed '
                f'(got {precision!r} for {describe(encoder)})'
            )

    @property
    def _is_model(self) -> bool:
        return self._is_named or self._model is not None

    @property
    def chunk_size(self) -> int:
        """The number of texts to pass in one call."""
        if not self._is_model:
            # A callable gets exactly one batch, unless it wants more.
            return int(getattr(self.encoder, 'chunk_size', self.batch_size))
        # A model forms batches itself and pads less if it can sort the texts
        # of many by length first. With 16 batches, it reads 1 to 2% more
        # padding than with 64, and an interruption costs a quarter. Their
        # number does not follow from the time they take, as the files of a
        # store would, too. Several processes need many to share.
        num_devices = len(self.devices or ())
        return self.batch_size * (16 if num_devices < 2 else 64 * num_devices)

    @property
    def identity(self) -> str | None:
        r"""What tells two encoders apart: the content of a local model, the
        name of any other, nothing for a callable that does not say.
        """
        if self._model is not None and not self._is_named:
            return _hash_model(self._model)
        if not self._is_named:
            identity = getattr(self.encoder, 'identity', None)
            return identity if isinstance(identity, str) else None
        folder = Path(str(self.encoder))
        return _hash_folder(folder) if folder.is_dir() else str(self.encoder)

    def to_dict(self, key: str | None = None) -> dict[str, str | None]:
        r"""What a manifest says about the encoder. The model of a hub is
        loaded to learn its revision.

        Args:
            key (str, optional): What identifies the encoder instead.

        Raises:
            ValueError: If the encoder is a callable and there is no key.
        """
        identity = self.identity if key is None else key
        if identity is None:
            raise ValueError(
                "'encoder_key' needs to be given where the encoder is a "
                'callable, to tell its embeddings from those of another; name '
                f'its model and version (got {describe(self.encoder)})'
            )
        name, revision = identity, identity
        if self._is_model:
            name = describe(self.encoder).strip("'")
        if self._is_named:
            is_local = Path(name).is_dir()
            name = Path(name).resolve().name if is_local else name
            if not is_local and key is None:
                revision = _commit(self._load()) or name
        library = 'sentence-transformers'
        return {
            'name': name,
            'revision': revision,
            'precision': self.precision,
            'library': f'{library} {version(library)}'
            if self._is_model
            else None,
        }

    def __call__(self, texts: Sequence[str]) -> Any:
        texts = list(texts)
        if not self._is_model:
            return self.encoder(texts)  # type: ignore[operator]
        options: dict[str, Any] = {}
        devices = self.devices or []
        if len(devices) > 1:
            if self._pool is None:
                self._pool = self._load().start_multi_process_pool(devices)
            # Small enough to keep all processes busy to the end.
            options = {'pool': self._pool, 'chunk_size': 8 * self.batch_size}
        elif devices:
            options = {'device': devices[0]}
        return self._load().encode(
            texts,
            batch_size=self.batch_size,
            show_progress_bar=False,
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._pool is not None:
            self._model.stop_multi_process_pool(self._pool)
            self._pool = None

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}({describe(self.encoder)})'

    def _load(self) -> Any:
        if self._model is None:
            self._model = _load_model(str(self.encoder))
            if self.precision is not None:
                self._model.to(getattr(torch, self.precision))
        return self._model


def describe(encoder: Encoder) -> str:
    r"""A short name that is the same in every run."""
    if isinstance(encoder, str | os.PathLike):
        return f"'{os.fspath(encoder)}'"
    name = getattr(encoder, '__qualname__', type(encoder).__name__)
    return str(name)


def _is_model(encoder: Encoder) -> bool:
    if not isinstance(encoder, torch.nn.Module):
        return False  # spares the import
    from sentence_transformers import SentenceTransformer

    return isinstance(encoder, SentenceTransformer)


def _load_model(name: str) -> 'SentenceTransformer':
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(name)
    except Exception as error:  # of the hub, of a file, of a model
        first_line = str(error).strip().split('\n')[0]
        raise ValueError(
            f"No sentence-transformers model '{name}' can be loaded; check "
            'the name and the connection, or pass the path of a local model '
            "folder or a callable such as a 'TfidfEncoder' as 'encoder' "
            f'(got {type(error).__name__}: {first_line})'
        ) from error


def _commit(model: 'SentenceTransformer') -> str | None:
    """The commit that the weights of a model of a hub came from."""
    for module in model.modules():
        config = getattr(module, 'config', None)
        commit = getattr(config, '_commit_hash', None)
        if isinstance(commit, str):
            return commit
    return None


def _hash_folder(folder: Path) -> str:
    out = hashlib.sha256()
    for path in sorted(folder.rglob('*')):
        relative = path.relative_to(folder)
        hidden = any(part.startswith('.') for part in relative.parts)
        if path.is_file() and not hidden:
            with path.open('rb') as file:
                digest = hashlib.file_digest(file, 'sha256').hexdigest()
            out.update(f'{relative.as_posix()}\0{digest}\0'.encode())
    return out.hexdigest()


def _hash_model(model: 'SentenceTransformer') -> str:
    # Prompts, pooling and where texts are cut change the embeddings as much as
    # weights do.
    out = hashlib.sha256(f'{model}{model.prompts}'.encode())
    length = getattr(model, 'max_seq_length', None)
    options = model.default_prompt_name, model.truncate_dim, length
    out.update(f'{options}{_describe_tokenizer(model)}'.encode())
    for name, weight in model.state_dict().items():
        raw = weight.detach().cpu().contiguous().view(-1).view(torch.uint8)
        out.update(name.encode())
        out.update(raw.numpy().tobytes())
    return out.hexdigest()


def _describe_tokenizer(model: 'SentenceTransformer') -> str:
    tokenizer = getattr(model, 'tokenizer', None)
    fast = getattr(tokenizer, 'backend_tokenizer', tokenizer)
    to_str = getattr(fast, 'to_str', None)
    if to_str is None:
        return without_addresses(repr(tokenizer))
    parts = json.loads(to_str())
    for key in ('padding', 'truncation'):  # those of the last call
        parts.pop(key, None)
    return json.dumps(parts, sort_keys=True)
