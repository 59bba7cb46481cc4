import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from pyg_darec.io.json_lines import to_json
from pyg_darec.profiles.cell import check_column
from pyg_darec.profiles.chain_hash import START, encode_text
from pyg_darec.profiles.embed import (
    check_empty,
    check_text,
    check_width,
    embed_unique,
    spread,
)
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.encoder import Encoder, TextEncoder, describe
from pyg_darec.profiles.manifest import Manifest
from pyg_darec.profiles.store_writer import StoreWriter


def encode_texts(
    texts: Sequence[str],
    encoder: Encoder,
    ids: Sequence[Any] | None = None,
    where: str = 'The list of texts',
    cache_dir: str | os.PathLike[str] | None = None,
    cache_key: str | None = None,
    batch_size: int = 64,
) -> Tensor:
    r"""Embeds texts into memory, equal ones once and empty ones as rows of
    zeros, with a progress bar; see
    :func:`~pyg_darec.profiles.encode_profiles` for a file.

    With :obj:`cache_dir`, texts are stored as they are embedded, in an
    :class:`~pyg_darec.profiles.EmbeddingStore` per encoder whose ids are the
    hashes of its texts. After an interruption at any moment, the same call
    goes on where it stopped; a later one embeds only what is new.

    Args:
        texts (list): The texts.
        encoder (str, SentenceTransformer or callable): The name or the local
            folder of a sentence-transformers model, such a model, or a
            function from a list of texts to an array with one row per text.
        ids (list, optional): One id per text, for error messages.
            (default: :obj:`None`)
        where (str, optional): What error messages call the texts.
            (default: :obj:`'The list of texts'`)
        cache_dir (str or os.PathLike, optional): The folder to store
            embeddings in. One in it is used only for the same text and
            encoder, which is told by the files of a local model, the weights
            of a loaded one and the name of one on a hub.
            (default: :obj:`None`)
        cache_key (str, optional): What identifies the encoder in the cache
            instead, for example its model and version; a callable needs
            it. (default: :obj:`None`)
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)

    Returns:
        A tensor of shape :math:`(N, D)`, :obj:`torch.float32`.

    Raises:
        TypeError: If :obj:`encoder` cannot encode.
        ValueError: If all texts are empty, one is not a string, the
            encoder cannot be loaded or returns anything but one finite
            vector of one width per text, or one of zeros, or a callable is
            to be cached without :obj:`cache_key`.
    """
    check_column(texts, where)
    check_column(ids, "'ids'")
    # A series is indexed by its labels.
    texts = texts if isinstance(texts, str) else list(texts)
    ids = None if ids is None else list(ids)
    _check_texts(texts, ids, where)
    embed = TextEncoder(encoder, batch_size)
    # What a text is called in messages: the id of its first node.
    names = texts if ids is None else ids
    label = dict(zip(reversed(texts), reversed(names), strict=True))
    unique = {t: label[t] for t in dict.fromkeys(texts) if t.strip()}
    source = f'What {describe(encoder)} returns for {where}'
    if cache_dir is None:
        x = _encode(embed, unique, source)
    else:
        identity = embed.identity if cache_key is None else cache_key
        if identity is None:
            raise ValueError(
                "'cache_dir' needs a 'cache_key' where the encoder is a "
                'callable, to tell its embeddings from those of another; '
                f'name its model and version (got {describe(encoder)})'
            )
        x = _encode_cached(embed, unique, source, Path(cache_dir), identity)
    return spread(x, unique, texts)


def _encode(embed: TextEncoder, label: dict[str, Any], source: str) -> Tensor:
    texts = list(label)
    chunks: list[Tensor] = []
    with tqdm(total=len(texts), desc='Encoding', unit='text') as progress:
        for start in range(0, len(texts), embed.chunk_size):
            part = texts[start : start + embed.chunk_size]
            labels = [label[text] for text in part]
            x = embed_unique(embed, part, labels, source)
            if chunks:
                check_width(x, chunks[0].size(1), labels[0], source)
            chunks.append(x)
            progress.update(len(part))
    return torch.cat(chunks)


def _encode_cached(
    embed: TextEncoder,
    label: dict[str, Any],
    source: str,
    cache_dir: Path,
    identity: str,
) -> Tensor:
    # The store is named by what makes its rows what they are, so that it can
    # belong to nothing else and several encoders can share a folder.
    folder = cache_dir / hashlib.sha256(encode_text(identity)).hexdigest()[:32]
    settings = Manifest(
        encoder={'name': identity, 'revision': identity},
        dim=0,
        dtype='float32',
        normalized=False,
        split=None,
        ids=START,
    )
    digest = {t: hashlib.sha256(encode_text(t)).hexdigest() for t in label}
    with StoreWriter(folder, settings, wait=True) as writer:
        row = {line: n for n, line in enumerate(writer.read_ids())}
        lines = {t: to_json(digest[t]) + b'\n' for t in label}
        missing = [t for t in label if lines[t] not in row]
        row |= {lines[t]: writer.rows + n for n, t in enumerate(missing)}
        known = len(label) - len(missing)
        with tqdm(
            total=len(label), initial=known, desc='Encoding', unit='text'
        ) as progress:
            for start in range(0, len(missing), embed.chunk_size):
                part = missing[start : start + embed.chunk_size]
                labels = [label[text] for text in part]
                x = embed_unique(embed, part, labels, source)
                if writer.rows > 0:
                    check_width(x, writer.manifest.dim, labels[0], source)
                keys = [digest[text] for text in part]
                writer.append(keys, part, x.numpy(), len(row))
                progress.update(len(part))
        writer.finish()
        rows = np.array([row[lines[t]] for t in label])
        return torch.from_numpy(
            np.array(EmbeddingStore(folder).tensor(lazy=True).numpy()[rows])
        )


def _check_texts(
    texts: Sequence[str], ids: Sequence[Any] | None, where: str
) -> None:
    if isinstance(texts, str) or len(texts) == 0:
        raise ValueError(
            f'{where} needs to be a list with one text per node (got {texts!r})'
        )
    for row, text in enumerate(texts):
        label = None if ids is None or row >= len(ids) else ids[row]
        check_text(text, row, where, label)
    check_empty(sum(not text.strip() for text in texts), len(texts), where)
