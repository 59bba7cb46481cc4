import pytest
import torch
from torch_geometric.nn import Linear

from pyg_darec.train import load_model, save_model


def test_round_trip(tmp_path, tiny):
    model, other = tiny.model(seed=0), tiny.model(seed=1)
    save_model(model, tmp_path / 'model.safetensors')
    assert load_model(other, tmp_path / 'model.safetensors') is other
    for name, value in model.state_dict().items():
        assert other.state_dict()[name].equal(value)


def test_tied_parameters_stay_tied(tmp_path, tiny):
    model, other = tiny.model(), tiny.model(seed=1)
    for m in (model, other):
        m.tied = m.user
    save_model(model, tmp_path / 'model.safetensors')
    load_model(other, tmp_path / 'model.safetensors')
    assert other.tied.weight is other.user.weight
    assert other.user.weight.equal(model.user.weight)


def test_into_a_model_without_shapes_yet(tmp_path):
    model, other = Linear(4, 3), Linear(-1, 3)
    save_model(model, tmp_path / 'model.safetensors')
    load_model(other, tmp_path / 'model.safetensors')
    assert other.weight.equal(model.weight)


def test_another_model_is_left_as_it_was(tmp_path, tiny):
    path, other = tmp_path / 'model.safetensors', tiny.model(dim=4)
    save_model(tiny.model(), path)
    before = other.user.weight.clone()
    with pytest.raises(ValueError, match='belongs to another model'):
        load_model(other, path)
    assert other.user.weight.equal(before)


def test_missing_or_truncated_file(tmp_path, model):
    path = tmp_path / 'model.safetensors'
    with pytest.raises(FileNotFoundError):
        load_model(model, path)
    save_model(model, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match='is truncated'):
        load_model(model, path)


def test_others_may_read_the_file(tmp_path, model):
    (tmp_path / 'plain').touch()
    save_model(model, tmp_path / 'model.safetensors')
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_extra_state(tmp_path):
    class Odd(torch.nn.Module):
        def get_extra_state(self):
            return {'not': 'a tensor'}

    with pytest.raises(TypeError, match="keep '_extra_state' out"):
        save_model(Odd(), tmp_path / 'model.safetensors')
