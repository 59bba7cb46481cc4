import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from tqdm.auto import tqdm

from pyg_darec.graph import BipartiteGraph
from pyg_darec.hash_split import hash_split
from pyg_darec.profiles.cell import check_column
from pyg_darec.profiles.chain_hash import START, hash_ids, hash_texts, is_id
from pyg_darec.profiles.convert import to_embeddings, to_unit_length
from pyg_darec.profiles.embed import (
    check_empty,
    check_text,
    check_width,
    embed_unique,
)
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.encoder import Encoder, TextEncoder, describe
from pyg_darec.profiles.manifest import Manifest
from pyg_darec.profiles.match import add_row
from pyg_darec.profiles.store_place import OtherStoreError
from pyg_darec.profiles.store_writer import StoreWriter

_END = object()
_DTYPES = {torch.float32: 'float32', torch.float16: 'float16'}


def encode_profiles(
    texts: Iterable[str],
    folder: str | os.PathLike[str],
    encoder: Encoder,
    ids: Iterable[Any] | None = None,
    *,
    split: HeteroData | BipartiteGraph | str | None = None,
    normalize: bool = False,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
    devices: str | Sequence[str] | None = None,
    precision: str | None = None,
    encoder_key: str | None = None,
    overwrite: bool = False,
) -> EmbeddingStore:
    r"""Embeds texts into an :class:`~pyg_darec.profiles.EmbeddingStore`, a
    folder that :class:`~pyg_darec.transforms.AttachProfileEmbeddings` takes.

    .. code-block:: python

        for node_type in ('user', 'item'):
            encode_profiles(
                data[node_type].profile,
                f'embeddings/{node_type}',
                'sentence-transformers/all-MiniLM-L6-v2',
                ids=data[node_type].id,
                split=data,
            )

    Rows are written as they come, so that memory holds one batch and the ids,
    however many there are: texts and ids may be read from a file as they are
    needed. After an interruption at any moment, a kill included, the same
    call goes on where it stopped, and the files become the same byte by byte.
    Rows that were damaged since are made again, with all that follow. With
    more texts than before, those at the end are added.

    An empty text becomes a row of zeros, which
    :class:`~pyg_darec.nn.align.DaRecAlign` takes for no profile. The encoder
    is not asked for it, and a warning tells how many there are.

    Args:
        texts (iterable): The texts, the same ones at every call: a list, the
            column of a table or a generator.
        folder (str or os.PathLike): The folder of the store.
        encoder (str, SentenceTransformer or callable): The name or the local
            folder of a sentence-transformers model, such a model, an
            :class:`~pyg_darec.profiles.EmbeddingClient`, or a function from a
            list of texts to an array with one row per text.
        ids (iterable, optional): One integer or string per text, which rows
            are matched with nodes by. Without, they are matched by position.
            (default: :obj:`None`)
        split (HeteroData or BipartiteGraph, optional): The graph from whose
            training interactions the texts were written, or its
            :func:`~pyg_darec.profiles.hash_split`. The embeddings then belong
            to this split only. (default: :obj:`None`)
        normalize (bool, optional): If set to :obj:`True`, each row is
            divided by its L2 norm. (default: :obj:`False`)
        dtype (torch.dtype, optional): The type of the stored numbers,
            :obj:`torch.float32` or :obj:`torch.float16`.
            (default: :obj:`torch.float32`)
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)
        devices (str or list, optional): The device of a sentence-transformers
            model, or several, each with a process of its own:
            :obj:`['cuda:0', 'cuda:1']`, :obj:`['cpu'] * 4`. A script that
            asks for several needs :obj:`if __name__ == '__main__':`.
            (default: :obj:`None`)
        precision (str, optional): The type that the weights of a model given
            by name are cast to, such as :obj:`'float16'` or
            :obj:`'bfloat16'`. (default: :obj:`None`)
        encoder_key (str, optional): What identifies the encoder in the
            manifest, for example a model and its version; a callable needs
            it. (default: :obj:`None`)
        overwrite (bool, optional): If set to :obj:`True`, a store that is
            there is replaced once the new one is complete. Until then, the
            new one is in the folder ``.new`` within.
            (default: :obj:`False`)

    Returns:
        The finished :class:`~pyg_darec.profiles.EmbeddingStore`.

    Raises:
        TypeError: If :obj:`encoder` cannot encode.
        ValueError: If all texts are empty, one is not a string, a table is
            passed instead of one of its columns, the encoder cannot be
            loaded or returns anything but one finite vector of one width per
            text, or one of zeros, an id occurs twice, or the store was begun
            with other texts, ids or settings.
        RuntimeError: If another process is writing to the folder.
        OSError: If the folder cannot be written.
    """
    if dtype not in _DTYPES:
        raise ValueError(
            f"'dtype' needs to be torch.float32 or torch.float16 (got {dtype})"
        )
    if isinstance(texts, str):
        raise ValueError(
            f"'texts' needs to be a list with one text per row (got {texts!r})"
        )
    if isinstance(ids, Tensor):
        ids = ids.tolist()
    check_column(texts, "'texts'")
    check_column(ids, "'ids'")
    if ids is not None:
        is_stream = not isinstance(ids, Sized)
        ids = _each_once(ids)
        # What is in memory is looked through before anything is encoded.
        ids = ids if is_stream else list(ids)
    folder = Path(folder)
    total = len(texts) if isinstance(texts, Sized) else None
    with TextEncoder(encoder, batch_size, devices, precision) as embed:
        settings = Manifest(
            encoder=embed.to_dict(encoder_key),
            dim=0,
            dtype=_DTYPES[dtype],
            normalized=normalize,
            split=split if isinstance(split, str | None) else hash_split(split),
            ids=None if ids is None else START,
        )
        with StoreWriter(folder, settings, overwrite=overwrite) as writer:
            rows = _Rows(texts, ids)
            _skip(rows, writer)
            source = f"What {describe(encoder)} returns for '{folder}'"
            with tqdm(
                total=total, initial=writer.rows, desc='Encoding', unit='text'
            ) as progress:
                early = []  # before the first text, which tells the width
                while block := rows.take(embed.chunk_size):
                    keys, part = block
                    labels = part if keys is None else keys
                    if any(map(str.strip, part)):
                        x = embed_unique(embed, part, labels, source)
                    elif writer.rows > 0:
                        x = torch.zeros(len(part), writer.manifest.dim)
                    else:
                        early.append(block)
                        progress.update(len(part))
                        continue
                    if writer.rows > 0:
                        check_width(x, writer.manifest.dim, labels[0], source)
                    if normalize:
                        x = to_unit_length(x)
                    x = to_embeddings(x, source, labels, dtype)
                    for some_keys, empty in early:
                        zeros = x.new_zeros(len(empty), x.size(1)).numpy()
                        writer.append(some_keys, empty, zeros, total)
                    early.clear()
                    writer.append(keys, part, x.numpy(), total)
                    progress.update(len(part))
            check_empty(rows.empty, rows.count, "'texts'")
            writer.finish()
    return EmbeddingStore(folder)


def _each_once(ids: Iterable[Any]) -> Iterator[Any]:
    row_of: dict[Any, int] = {}
    for row, key in enumerate(ids):
        if is_id(key):  # what is none is told with its text
            add_row(row_of, key, row, "'ids'")
        yield key


class _Rows:
    """Texts and their ids, taken a block at a time."""

    def __init__(self, texts: Iterable[str], ids: Iterable[Any] | None) -> None:
        self.count = self.empty = 0
        self._has_ids = ids is not None
        keys = () if ids is None else ids
        self._pairs = self._checked(zip_longest(texts, keys, fillvalue=_END))

    def take(self, size: int) -> tuple[list[Any] | None, list[str]] | None:
        block = list(islice(self._pairs, size))
        if not block:
            return None
        texts = [text for text, _ in block]
        return [key for _, key in block] if self._has_ids else None, texts

    def put_back(self, ids: list[Any] | None, texts: list[str]) -> None:
        keys = [_END] * len(texts) if ids is None else ids
        self._pairs = chain(zip(texts, keys, strict=True), self._pairs)

    def _checked(
        self, pairs: Iterator[tuple[Any, Any]]
    ) -> Iterator[tuple[str, Any]]:
        for row, (text, key) in enumerate(pairs):
            if self._has_ids and (text is _END or key is _END):
                what = 'text' if text is _END else 'id'
                raise ValueError(
                    "'texts' and 'ids' need to be equally long (got no "
                    f'{what} for row {row})'
                )
            check_text(text, row, "'texts'", key if self._has_ids else None)
            self.count += 1
            self.empty += not text.strip()
            if self._has_ids and not is_id(key):
                raise ValueError(
                    "'ids' needs integers or strings; the one of row "
                    f'{row} is not (got {key!r:.80})'
                )
            yield text, key


def _skip(rows: _Rows, writer: StoreWriter) -> None:
    """Passes the rows that are in the store, if they are the same ones. Of an
    unfinished one that is to overwrite another, those up to the first others.
    """
    first, ids, texts = 0, START, START
    for block in writer.blocks():
        keys, part = rows.take(block.rows - first) or (None, [])
        texts = hash_texts(part, texts)
        ids = START if keys is None else hash_ids(keys, ids)
        found = None
        if first + len(part) < block.rows:
            found = 'more texts'
        elif block.ids not in (None, ids):
            found = f'other ids in rows {first} to {block.rows - 1}'
        elif block.texts != texts:
            found = f'other texts in rows {first} to {block.rows - 1}'
        if found is not None:
            if writer.overwrite:
                rows.put_back(keys, part)
                writer.drop(first)
                return
            raise OtherStoreError(
                f"'{writer.folder}' was begun with {found}; pass the same ones "
                "to go on, choose another folder or pass 'overwrite' (got "
                f'{first + len(part)} of the first {block.rows} rows)'
            )
        first = block.rows
