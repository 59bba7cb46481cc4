import pytest
import torch

from pyg_darec.profiles.cache import EmbeddingCache

TEXTS = ['a', 'ä\ud800', 'c']


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / 'new' / 'folder', 'model')


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_round_trip(cache, dtype):
    x = torch.randn(3, 5).to(dtype).t().contiguous().t()
    assert cache.load(TEXTS) is None
    cache.save(TEXTS, x)
    out = cache.load(TEXTS)
    assert out.dtype == dtype
    assert torch.equal(out, x)


def test_other_texts_or_encoder_miss(cache):
    cache.save(TEXTS, torch.ones(3, 2))
    assert cache.load(TEXTS[:2]) is None
    assert cache.load(TEXTS[::-1]) is None
    assert EmbeddingCache(cache.folder, 'other').load(TEXTS) is None


def test_every_damage_is_a_miss(cache):
    cache.save(TEXTS, torch.ones(3, 2))
    (path,) = cache.folder.iterdir()
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert cache.load(TEXTS) is None
    # A flipped bit among the numbers, which the format itself cannot notice.
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cache.load(TEXTS) is None
    path.write_bytes(content)
    assert cache.load(TEXTS) is not None


def test_file_of_a_chunk_of_another_size_is_a_miss(cache):
    cache.save(TEXTS, torch.ones(2, 2))
    assert cache.load(TEXTS) is None


def test_failed_save_leaves_nothing(cache, monkeypatch):
    def full_disk(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('safetensors.torch.save_file', full_disk)
    with pytest.raises(OSError, match='No space left'):
        cache.save(TEXTS, torch.ones(3, 2))
    assert list(cache.folder.iterdir()) == []
    assert cache.load(TEXTS) is None


def test_repr(cache):
    assert str(cache) == f"EmbeddingCache('{cache.folder}')"
