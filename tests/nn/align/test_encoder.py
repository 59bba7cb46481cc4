import pytest
import torch
from safetensors.torch import load, save

from pyg_darec.nn.align.encoder import Encoder


def test_layers() -> None:
    encoder = Encoder(10, 4)
    shapes = {name: tuple(p.shape) for name, p in encoder.named_parameters()}
    assert shapes == {
        'weight0': (7, 10),
        'bias0': (7,),
        'weight1': (4, 7),
        'bias1': (4,),
    }
    assert encoder(torch.randn(3, 10), 4).shape == (3, 4)
    assert repr(encoder) == 'Encoder(10, 4, num_layers=2)'
    deep = Encoder(10, 4, hidden_dim=5, num_layers=3)
    assert deep.weight1.shape == (5, 5)
    assert Encoder(10, 4, num_layers=1).weight0.shape == (4, 10)


@pytest.mark.parametrize(('in_dim', 'out_dim'), [(None, 4), (10, None)])
def test_open_width(in_dim: int | None, out_dim: int | None) -> None:
    encoder = Encoder(in_dim, out_dim)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.1)
    encoder.reset_parameters()  # nothing to reset yet
    assert (encoder.in_dim, encoder.out_dim) == (in_dim, out_dim)
    x = torch.randn(3, 10)
    out = encoder(x, 4)
    assert out.shape == (3, 4)
    out.square().sum().backward()
    optimizer.step()
    assert not torch.equal(encoder(x, 4), out)
    other = Encoder(in_dim, out_dim)
    other.load_state_dict(load(save(encoder.state_dict())))
    assert torch.equal(other(x, 4), encoder(x, 4))
    assert (other.in_dim, other.out_dim) == (10, 4)


@pytest.mark.parametrize(('in_dim', 'out_dim'), [(None, 4), (10, None)])
def test_first_call_in_inference_mode(
    in_dim: int | None, out_dim: int | None
) -> None:
    encoder, x = Encoder(in_dim, out_dim), torch.randn(3, 10)
    with torch.inference_mode():
        encoder(x, 4)
    assert not any(p.is_inference() for p in encoder.parameters())
    encoder(x, 4).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_no_layers() -> None:
    with pytest.raises(ValueError, match="'num_layers'"):
        Encoder(3, 3, num_layers=0)
