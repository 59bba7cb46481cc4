import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles.chain_hash import chain_hash, hash_ids, hash_texts

TEXTS = st.lists(st.text(), max_size=6)


@given(TEXTS, TEXTS)
def test_goes_on_where_it_stopped(first, second):
    assert hash_texts(second, hash_texts(first)) == hash_texts(first + second)


@given(TEXTS, TEXTS)
def test_tells_lists_apart(one, two):
    assert (hash_texts(one) == hash_texts(two)) == (one == two)


def test_definition():
    inner = hashlib.sha256(b'a').digest()
    expected = hashlib.sha256(bytes(32) + inner).hexdigest()
    assert chain_hash([b'a']) == expected


def test_ids():
    assert hash_ids([1, 2]) == hash_ids(np.array([1, 2]))
    assert hash_ids([1]) != hash_ids(['1'])
    for bad in (True, 1.0, None):
        with pytest.raises(TypeError, match='an id needs to be'):
            hash_ids([bad])


def test_half_of_a_surrogate_pair():
    assert hash_texts(['\ud800']) != hash_texts(['\ud801'])
    assert hash_ids(['\ud800']) != hash_ids(['\ud801'])
