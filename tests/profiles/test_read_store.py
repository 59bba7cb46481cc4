from pyg_darec.profiles import encode_profiles
from pyg_darec.profiles.read_store import read_store


def test_ids_that_have_become_texts(tmp_path):
    """They are in the same order, so that rows may stay in the file."""
    texts = ['a', 'b', 'c']

    def embed(texts):
        return [[float(ord(text))] for text in texts]

    store = encode_profiles(
        texts, tmp_path, embed, ids=[7, 8, 9], encoder_key='k'
    )
    for lazy in (False, True):
        x = read_store(store, 'It', 3, ['7', '8', '9'], texts, lazy)
        assert x.tolist() == [[97], [98], [99]]
    x = read_store(store, 'It', 3, ['9', '7', '8'], ['c', 'a', 'b'])
    assert x.tolist() == [[99], [97], [98]]
