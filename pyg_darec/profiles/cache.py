import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pyg_darec.io import atomic_write

VERSION = 1


class EmbeddingCache:
    r"""A folder of embedded chunks of text, one file each.

    A file is named after the hash of the encoder and the texts of its chunk,
    so it can belong to nothing else, and several runs can share a folder. It
    is written in one step and carries a checksum: a chunk that a killed run
    or a broken disk left incomplete counts as missing.

    Args:
        folder (str or os.PathLike): The folder, made when first written to.
        encoder (str): What identifies the encoder.
    """

    def __init__(self, folder: str | os.PathLike[str], encoder: str) -> None:
        self.folder = Path(folder)
        self.encoder = encoder

    def load(self, texts: Sequence[str]) -> Tensor | None:
        r"""The embeddings of a chunk, or :obj:`None` if they are not there or
        damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(texts), framework='pt') as file:
                x: Tensor = file.get_tensor('x')
                expected = file.metadata()['checksum']
        except (OSError, SafetensorError, KeyError, TypeError):
            return None
        complete = x.dim() == 2 and x.size(0) == len(texts)
        return x if complete and _checksum(x) == expected else None

    def save(self, texts: Sequence[str], x: Tensor) -> None:
        from safetensors.torch import save_file

        x = x.cpu().contiguous()
        with atomic_write(self._path(texts)) as tmp:
            save_file({'x': x}, tmp, {'checksum': _checksum(x)})

    def _path(self, texts: Sequence[str]) -> Path:
        key = json.dumps([VERSION, self.encoder, list(texts)])
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / f'{name}.safetensors'

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('{self.folder}')"


def _checksum(x: Tensor) -> str:
    raw = x.contiguous().view(torch.uint8).numpy()
    return hashlib.sha256(raw.tobytes()).hexdigest()
