import errno
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pyg_darec.train.tensor_file import (
    check_state,
    read_tensors,
    write_tensors,
)


@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.bfloat16, torch.double, torch.int64]
)
def test_round_trip_of_awkward_tensors(tmp_path, dtype):
    table = torch.arange(12).view(3, 4).to(dtype)
    tensors = {
        'plain': table,
        'tied': table,
        'transposed': table.t(),
        'slice': table[1:, ::2],
        'expanded': table[:1].expand(5, 4),
        'scalar': table[0, 0],
        'empty': table[:0],
        'parameter': torch.nn.Parameter(torch.ones(2)),
    }
    write_tensors(tensors, tmp_path / 'x.safetensors', {'a': 'ü'})
    loaded, metadata = read_tensors(tmp_path / 'x.safetensors')
    assert len(metadata.pop('sha256')) == 64
    assert metadata == {'format': 'pt', 'a': 'ü'}
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert loaded[name].dtype == value.dtype
        assert loaded[name].equal(value), name


@pytest.mark.parametrize('value', [{'a': 1}, torch.eye(2).to_sparse()])
def test_what_is_not_a_dense_tensor(tmp_path, value):
    with pytest.raises(TypeError, match="keep 'odd' out"):
        write_tensors({'odd': value}, tmp_path / 'x.safetensors')
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / 'x.safetensors'
    write_tensors({'a': torch.ones(3)}, path)

    def write_bytes(self, content):
        with self.open('wb') as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', write_bytes)
    with pytest.raises(OSError, match='No space left on device') as error:
        write_tensors({'a': torch.zeros(3)}, path)
    assert str(path) in str(error.value)
    assert read_tensors(path)[0]['a'].equal(torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('size', [0, 4, 30, -1])
def test_truncated(tmp_path, size):
    path = tmp_path / 'x.safetensors'
    write_tensors({'a': torch.ones(300)}, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"x.safetensors' is truncated"):
        read_tensors(path)


def test_check_state_names_the_first_differences():
    model = torch.nn.Linear(2, 3)
    check_state(model, model.state_dict(), 'x')
    state = {
        'weight': torch.ones(2, 2),
        **{f'n{i}': torch.ones(1) for i in 'abc'},
    }
    match = (
        r"'x' belongs to another model than 'Linear'.*'bias' is missing, "
        r"'na' is unknown, 'nb' is unknown and 2 more"
    )
    with pytest.raises(ValueError, match=match):
        check_state(model, state, 'x')
    match = r"'weight' has shape \(2, 2\) in the file and \(3, 2\)"
    with pytest.raises(ValueError, match=match):
        check_state(
            model, {**model.state_dict(), 'weight': state['weight']}, 'x'
        )


def test_changed_byte(tmp_path):
    path = tmp_path / 'x.safetensors'
    write_tensors({'a': torch.arange(100), 'b': torch.tensor(1.5)}, path)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='is damaged'):
        read_tensors(path)


def test_file_of_another_program(tmp_path):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(safetensors.torch.save({'a': torch.ones(3)}))
    assert read_tensors(path)[0]['a'].equal(torch.ones(3))
