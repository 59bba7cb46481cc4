import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import torch

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Encoder: TypeAlias = Union[
    str, os.PathLike[str], 'SentenceTransformer', Callable[[list[str]], Any]
]


class TextEncoder:
    r"""One surface for everything that turns texts into vectors.

    Args:
        encoder (str, SentenceTransformer or callable): The name or the local
            folder of a sentence-transformers model, such a model, or a
            function from a list of texts to an array with one row per text.
            A named model is loaded when it is first needed.
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)

    Raises:
        TypeError: If :obj:`encoder` is nothing of this.
        ValueError: If :obj:`batch_size` is not positive.
    """

    def __init__(self, encoder: Encoder, batch_size: int = 64) -> None:
        if batch_size < 1:
            raise ValueError(
                f"'batch_size' needs to be positive (got {batch_size})"
            )
        self.encoder = encoder
        self.batch_size = batch_size
        self._model: Any = encoder if _is_model(encoder) else None
        self._is_named = isinstance(encoder, str | os.PathLike)
        if self._model is None and not self._is_named and not callable(encoder):
            raise TypeError(
                "'encoder' needs to be the name or folder of a "
                "sentence-transformers model, a 'SentenceTransformer' or a "
                "callable 'list[str] -> array' "
                f"(got '{type(encoder).__name__}')"
            )

    @property
    def chunk_size(self) -> int:
        """The number of texts to pass in one call."""
        # A model forms batches itself and pads less if it can sort the texts
        # of several by length first. A callable gets exactly one batch.
        is_model = self._is_named or self._model is not None
        return self.batch_size * (16 if is_model else 1)

    @property
    def identity(self) -> str | None:
        r"""What tells two encoders apart: the content of a local model, the
        name of any other, nothing for a callable.
        """
        if self._model is not None and not self._is_named:
            return _hash_model(self._model)
        if not self._is_named:
            return None
        folder = Path(str(self.encoder))
        return _hash_folder(folder) if folder.is_dir() else str(self.encoder)

    def __call__(self, texts: Sequence[str]) -> Any:
        if self._is_named and self._model is None:
            self._model = _load_model(str(self.encoder))
        if self._model is None:
            return self.encoder(list(texts))  # type: ignore[operator]
        return self._model.encode(
            list(texts), batch_size=self.batch_size, show_progress_bar=False
        )

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}({describe(self.encoder)})'


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
            "folder or a callable 'list[str] -> array' as 'encoder' "
            f'(got {type(error).__name__}: {first_line})'
        ) from error


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
    # Prompts and pooling change the embeddings as much as weights do.
    out = hashlib.sha256(f'{model}{model.prompts}'.encode())
    out.update(f'{model.default_prompt_name}{model.truncate_dim}'.encode())
    for name, weight in model.state_dict().items():
        raw = weight.detach().cpu().contiguous().view(-1).view(torch.uint8)
        out.update(name.encode())
        out.update(raw.numpy().tobytes())
    return out.hexdigest()
