import torch
from torch.autograd import gradcheck

from pyg_darec.nn.functional import normalize


def test_rows_have_unit_length() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(5, 3, dtype=dtype)
        expected = torch.nn.functional.normalize(x)
        assert torch.allclose(normalize(x), expected)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(normalize, (x,))


def test_zero_row() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    out = normalize(x)
    out.sum().backward()
    assert (out == 0).all()
    assert (x.grad == 1).all()
