import pytest
import torch
from torch.autograd import gradcheck

from pyg_darec.nn.functional import normalize, unit_rows


def test_rows_have_unit_length() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(5, 3, dtype=dtype)
        expected = torch.nn.functional.normalize(x)
        assert torch.allclose(normalize(x), expected)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(normalize, (x,))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    x = torch.tensor([[3e-3, 4e-3], [3e3, 4e3], [3e-6, 4e-6]], dtype=dtype)
    out = normalize(x)
    assert out.dtype == dtype
    assert torch.equal(out, normalize(x.double()).to(dtype))


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_zero_row(dtype: torch.dtype) -> None:
    x = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    out = normalize(x)
    out.sum().backward()
    assert (out == 0).all()
    assert (x.grad == 1).all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
def test_short_row(dtype: torch.dtype) -> None:
    """A gradient of 1 / length is finite long after its parts overflow."""
    for length in (1e-10, 1e-13, 1e-16, 1e-25):
        x = torch.tensor([[3.0, 4.0]], dtype=torch.double) * length / 5
        x = x.to(dtype).requires_grad_()
        normalize(x)[0, 0].backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32, torch.double])
def test_unit_rows_of_any_length(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 9, generator=generator, dtype=dtype)
    x[::7] = 0
    for length in (1.0, 1e-3, 7e4):
        assert torch.equal(unit_rows(x * length), normalize(x * length))
    expected = normalize(x.double())
    info = torch.finfo(dtype)
    for length in (1e-20, 1e20, 4 * info.tiny, info.max / 8):
        out = unit_rows(x * length)
        assert out.dtype == dtype
        torch.testing.assert_close(
            out.double(), expected, rtol=4 * info.eps, atol=4 * info.eps
        )
