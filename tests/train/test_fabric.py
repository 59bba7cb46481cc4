import pytest
import torch

from pyg_darec.train.fabric import make_fabric


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
