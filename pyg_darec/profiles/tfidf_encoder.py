import hashlib
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyg_darec.checks import check_count
from pyg_darec.profiles.cell import check_column
from pyg_darec.profiles.embed import check_text


class TfidfEncoder:
    r"""An encoder without a language model: latent semantic analysis of the
    texts themselves, where no model is at hand. It finds texts that share
    parts of words, in any script, and nothing about what words mean. One
    without any part that it knows becomes a row of zeros, with a warning.

    .. math::
        \mathbf{X} \approx \mathbf{U} \boldsymbol{\Sigma} \mathbf{V}^{\top},
        \qquad \mathbf{e}(t) = \mathbf{x}(t)^{\top} \mathbf{V}

    with the TF-IDF weights :math:`\mathbf{x}(t)` of the three to five
    neighbouring characters within words of a text.

    .. code-block:: python

        encoder = TfidfEncoder(data['item'].profile, dim=64)
        encode_profiles(data['item'].profile, 'embeddings/item', encoder)

    Args:
        texts (list): The texts that the parts of words and :math:`\mathbf{V}`
            are taken from; empty ones do not count.
        dim (int, optional): The width of the embeddings; fewer if there are
            not as many different texts, or parts of words in them.
            (default: :obj:`64`)

    Shapes:
        - **output:** :math:`(N, D)` for :math:`N` texts

    Raises:
        ValueError: If there are no texts, all of them are empty, or a table is
            passed instead of one of its columns, or a row holds no text.
    """

    # Of a model, they would be a fault.
    zeros_are_meant = True

    def __init__(self, texts: Sequence[str], dim: int = 64) -> None:
        check_count(dim=dim)
        check_column(texts, "'texts'")
        if isinstance(texts, str):
            raise ValueError(
                f"'texts' needs to be a list with one text per row (got "
                f'{texts!r:.80})'
            )
        from sklearn.decomposition import (  # type: ignore[import-untyped]
            TruncatedSVD,
        )
        from sklearn.feature_extraction.text import (  # type: ignore[import-untyped]
            TfidfVectorizer,
        )

        self._words = TfidfVectorizer(
            analyzer='char_wb',
            ngram_range=(3, 5),
            max_features=2**15,
            sublinear_tf=True,
            dtype=np.float32,
        )
        for row, text in enumerate(texts):
            check_text(text, row, "'texts'")
        unique = sorted(filter(str.strip, set(texts)))
        if not unique:
            raise ValueError(
                "'texts' needs texts with at least one character "
                f'(got {len(texts)} without any)'
            )
        weights = self._words.fit_transform(unique)
        self.dim = min(dim, *weights.shape)
        # Of a single part of words there is nothing to take apart.
        self._svd = None
        if weights.shape[1] > 1:
            self._svd = TruncatedSVD(self.dim, random_state=0).fit(weights)
        digest = hashlib.sha256()
        for text in unique:
            digest.update(f'{len(text)} {text}'.encode(errors='replace'))
        self.identity = f'tfidf {self.dim} {digest.hexdigest()[:16]}'

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        weights = self._words.transform(list(texts))
        empty = np.flatnonzero(weights.getnnz(axis=1) == 0)
        if len(empty) > 0:
            warnings.warn(
                f'{self} knows no part of the words of {len(empty)} texts of '
                f'{len(texts)}, the first of them {texts[empty[0]]!r:.80}; '
                "their embeddings are rows of zeros, which 'DaRecAlign' takes "
                'for no profile'
            )
        if self._svd is None:
            return np.asarray(weights.toarray(), dtype=np.float32)
        return np.asarray(self._svd.transform(weights), dtype=np.float32)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(dim={self.dim})'
