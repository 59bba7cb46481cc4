import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pyg_darec.profiles.convert import to_unit_length
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.encode import encode_texts
from pyg_darec.profiles.encoder import Encoder, TextEncoder


def encode_alike(
    store: EmbeddingStore | str | os.PathLike[str],
    texts: Sequence[str],
    encoder: Encoder,
    ids: Sequence[Any] | None = None,
    *,
    encoder_key: str | None = None,
    batch_size: int = 64,
) -> Tensor:
    r"""Embeds texts of new users or items as those in a store were, and
    refuses another encoder: its embeddings would be as wide, perhaps, and
    mean something else.

    .. code-block:: python

        llm_x = encode_alike('shop/embeddings/item', texts, encoder)
        out = recommend(model, data, users, new_items=llm_x)

    Args:
        store (EmbeddingStore or str or os.PathLike): The store that
            :func:`~pyg_darec.profiles.encode_profiles` wrote, or its folder.
        texts (list): The texts.
        encoder (str, SentenceTransformer or callable): The encoder that the
            store was made with.
        ids (list, optional): One id per text, for error messages.
            (default: :obj:`None`)
        encoder_key (str, optional): What identified the encoder then.
            (default: :obj:`None`)
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)

    Returns:
        A tensor of shape :math:`(N, D)`, :obj:`torch.float32`; rows have
        length one where those of the store do.

    Raises:
        FileNotFoundError: If there is no store in the folder.
        TypeError: If :obj:`encoder` cannot encode.
        ValueError: If it is another encoder, the store is not finished or
            damaged, or :func:`~pyg_darec.profiles.encode_texts` refuses the
            texts.
    """
    if not isinstance(store, EmbeddingStore):
        store = EmbeddingStore(store)
    known = store.manifest
    is_named = isinstance(encoder, str | os.PathLike)
    precision = known.encoder.get('precision') if is_named else None
    embed = TextEncoder(encoder, batch_size, precision=precision)
    now = dataclasses.replace(known, encoder=embed.to_dict(encoder_key))
    if difference := known.difference(now):
        raise ValueError(
            f"'encoder' needs to be the one that '{store.folder}' was made "
            f'with (got {difference})'
        )
    # That of a name has loaded the model by now.
    source = embed if is_named else encoder
    x = encode_texts(texts, source, ids, batch_size=batch_size)
    if x.size(1) != store.dim:
        raise ValueError(
            f"'encoder' needs to give rows as wide as those of "
            f"'{store.folder}', {store.dim} (got {x.size(1)})"
        )
    return to_unit_length(x) if known.normalized else x
