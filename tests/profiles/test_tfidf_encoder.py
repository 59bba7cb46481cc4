import numpy as np
import pytest

from pyg_darec.profiles import TfidfEncoder, encode_texts

TEXTS = ['blue mug', 'red mug', 'desk lamp', 'floor lamp', '茶', '🎁']


def test_neighbours_share_parts_of_words():
    encoder = TfidfEncoder(TEXTS, dim=5)
    x = encoder(TEXTS)
    assert x.shape == (6, 5)
    assert x.dtype == np.float32
    cosine = x @ x.T / np.outer(*2 * [np.linalg.norm(x, axis=1) + 1e-9])
    assert cosine[0, 1] > 0.3 > abs(cosine[0, 2])
    assert cosine[2, 3] > 0.3


def test_the_same_texts_give_the_same_encoder():
    a, b = TfidfEncoder(TEXTS, 4), TfidfEncoder([*TEXTS[::-1], TEXTS[0]], 4)
    assert a.identity == b.identity
    assert np.array_equal(a(['lamp']), b(['lamp']))
    assert a.identity != TfidfEncoder(TEXTS, 3).identity
    assert a.identity != TfidfEncoder(TEXTS[1:], 4).identity
    assert repr(a) == 'TfidfEncoder(dim=4)'


def test_empty_texts_do_not_count():
    a, b = TfidfEncoder(TEXTS), TfidfEncoder(['', *TEXTS, ' '])
    assert (a.identity, a.dim) == (b.identity, b.dim)


def test_bad_arguments():
    with pytest.raises(ValueError, match="'texts' needs texts"):
        TfidfEncoder(['', ' '])
    with pytest.raises(ValueError, match=r"'texts' .* a column"):
        TfidfEncoder({'text': TEXTS})  # the column names of a table
    with pytest.raises(ValueError, match="'dim'"):
        TfidfEncoder(TEXTS, dim=0)


def test_texts_that_are_none():
    with pytest.raises(ValueError, match="'texts' holds no text at row 1"):
        TfidfEncoder(['a b c', float('nan')])
    with pytest.raises(ValueError, match='one text per row'):
        TfidfEncoder('a string')
    encoder = TfidfEncoder(['a'])
    assert encoder.dim == 1
    with pytest.warns(UserWarning, match="of 1 texts of 2, .* 'b'; .* zeros"):
        assert encoder(['a', 'b']).tolist() == [[1.0], [0.0]]


def test_zeros_are_no_fault_of_an_encoder_of_words():
    with pytest.warns(UserWarning, match='no part of the words'):
        x = encode_texts(['lamp', '茶', ''], TfidfEncoder(['lamp', 'mug'], 2))
    assert x.any(dim=1).tolist() == [True, False, False]
