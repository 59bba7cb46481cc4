import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pyg_darec.profiles.cache import EmbeddingCache
from pyg_darec.profiles.convert import name_row, to_embeddings
from pyg_darec.profiles.encoder import Encoder, TextEncoder, describe


def encode_texts(
    texts: Sequence[str],
    encoder: Encoder,
    ids: Sequence[Any] | None = None,
    where: str = 'The list of texts',
    cache_dir: str | os.PathLike[str] | None = None,
    cache_key: str | None = None,
    batch_size: int = 64,
) -> Tensor:
    r"""Embeds texts, equal ones once, with a progress bar.

    With :obj:`cache_dir`, each chunk of texts is stored as soon as it is
    embedded. After an interruption at any moment, the same call goes on where
    it stopped; a chunk that was damaged is embedded again.

    Args:
        texts (list): The texts.
        encoder (str, SentenceTransformer or callable): The name or the local
            folder of a sentence-transformers model, such a model, or a
            function from a list of texts to an array with one row per text.
        ids (list, optional): One id per text, for error messages.
            (default: :obj:`None`)
        where (str, optional): What error messages call the texts.
        cache_dir (str or os.PathLike, optional): The folder to store
            embeddings in. A chunk in it is used only for the same texts and
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
        ValueError: If there is no text, one is empty or not a string, the
            encoder cannot be loaded or returns anything but one finite
            vector of one width per text, or a callable is to be cached
            without :obj:`cache_key`.
    """
    _check_texts(texts, ids, where)
    embed = TextEncoder(encoder, batch_size)
    cache = None
    if cache_dir is not None:
        identity = embed.identity if cache_key is None else cache_key
        if identity is None:
            raise ValueError(
                "'cache_dir' needs a 'cache_key' where the encoder is a "
                'callable, to tell its embeddings from those of another; '
                f'name its model and version (got {describe(encoder)})'
            )
        cache = EmbeddingCache(cache_dir, identity)

    unique = list(dict.fromkeys(texts))
    # What a text is called in messages: the id of its first node.
    names = texts if ids is None else ids
    label = dict(zip(reversed(texts), reversed(names), strict=True))
    source = f'What {describe(encoder)} returns for {where}'
    chunks: list[Tensor] = []
    with tqdm(total=len(unique), desc='Encoding', unit='text') as progress:
        for start in range(0, len(unique), embed.chunk_size):
            chunk = unique[start : start + embed.chunk_size]
            x = None if cache is None else cache.load(chunk)
            if x is None:
                labels = [label[text] for text in chunk]
                x = _check_output(embed(chunk), labels, source)
                if cache is not None:
                    cache.save(chunk, x)
            if chunks and x.size(1) != chunks[0].size(1):
                raise ValueError(
                    f'{source} changes its width at '
                    f'{label[chunk[0]]!r:.80}; use one encoder, or another '
                    f"'cache_key' for another encoder (got "
                    f'{chunks[0].size(1)}, then {x.size(1)})'
                )
            chunks.append(x)
            progress.update(len(chunk))
    place = {text: i for i, text in enumerate(unique)}
    return torch.cat(chunks)[[place[text] for text in texts]]


def _check_texts(
    texts: Sequence[str], ids: Sequence[Any] | None, where: str
) -> None:
    if isinstance(texts, str) or len(texts) == 0:
        raise ValueError(
            f'{where} needs to be a list with one text per node (got {texts!r})'
        )
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f'{where} holds no text at {name_row(row, ids)}; write one '
                f'or remove the node (got {text!r})'
            )


def _check_output(value: Any, labels: Sequence[Any], source: str) -> Tensor:
    x = to_embeddings(value, source, labels).cpu()
    if x.size(0) != len(labels):
        raise ValueError(
            f'{source} needs one row per text (got {x.size(0)} rows for '
            f'{len(labels)} texts, the first of {labels[0]!r:.80})'
        )
    return x
