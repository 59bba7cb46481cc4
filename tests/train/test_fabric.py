import warnings

import pytest
import torch

from pyg_darec.train import fabric
from pyg_darec.train.fabric import make_fabric, multiplies_bfloat16


@pytest.mark.parametrize('device', ['cpu', torch.device('cpu'), 'cpu:0'])
def test_cpu(device):
    assert make_fabric(device).device == torch.device('cpu')


@pytest.mark.parametrize('device', [None, 'auto'])
def test_auto(device):
    expected = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert make_fabric(device).device.type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
def test_device_that_is_not_there():
    with pytest.raises(RuntimeError, match='CUDA'):
        make_fabric('cuda')


def test_bad_devices():
    with pytest.raises(ValueError, match='tpuu'):
        make_fabric('tpuu')
    with pytest.raises(ValueError, match=r"device='cuda:1' and devices=2"):
        make_fabric('cuda:1', devices=2)


@pytest.mark.parametrize('precision', ['bf16-mixed', 'bf16-true'])
def test_processor_without_bfloat16(precision, monkeypatch):
    monkeypatch.setattr(fabric, 'multiplies_bfloat16', lambda: False)
    with pytest.warns(UserWarning, match=f"'precision'.*'{precision}'"):
        make_fabric('cpu', precision=precision)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        make_fabric('cpu')
        make_fabric('cpu', precision='64-true')
        monkeypatch.setattr(fabric, 'multiplies_bfloat16', lambda: True)
        make_fabric('cpu', precision=precision)


def test_what_processors_multiply():
    """AVX-512 at least, on a machine of this kind."""
    if torch.backends.cpu.get_cpu_capability().startswith('AVX512'):
        assert multiplies_bfloat16()
    if torch.backends.cpu.get_cpu_capability() == 'AVX2':
        assert not multiplies_bfloat16()
