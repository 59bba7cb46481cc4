import pytest
import roofline
import torch
from roofline import (
    con_flops,
    contrast_flops,
    darec_flops,
    gen_flops,
    gram_flops,
    mlp_flops,
    propagation_bytes,
    propagation_flops,
    uniformity_flops,
)
from torch.utils.flop_counter import FlopCounterMode


def test_propagation() -> None:
    """One edge between one user and one item, d = 2: each direction has one
    column, one value and two row pointers of 4 bytes, reads 8 bytes and
    writes 8.
    """
    moved = propagation_bytes(1, 1, 1, dim=2, num_layers=1)
    assert moved == {'once': 2 * (16 + 16), 'gathered': 2 * (16 + 16)}
    assert propagation_flops(1, dim=2, num_layers=3) == 3 * 2 * 4
    # Three edges an item: its rows are read three times, or once.
    more = propagation_bytes(3, 1, 3, dim=2, num_layers=1)
    matrix = 4 * (3 + 3 + 4) + 4 * (3 + 3 + 2)
    assert more['once'] == matrix + 2 * 8 * 4
    assert more['gathered'] == matrix + 8 * 6 + 8 * 4


@pytest.mark.parametrize('input_grad', [True, False])
def test_mlp(input_grad: bool) -> None:
    x = torch.randn(7, 5, requires_grad=input_grad)
    layers = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 2))
    with FlopCounterMode(display=False) as counter:
        layers(x).sum().backward()
    assert mlp_flops(7, (5, 3, 2), input_grad) == counter.get_total_flops()


@pytest.mark.parametrize('candidate_grad', [True, False])
def test_contrast(candidate_grad: bool) -> None:
    a = torch.randn(7, 5, requires_grad=True)
    c = torch.randn(4, 5, requires_grad=candidate_grad)
    with FlopCounterMode(display=False) as counter:
        (a @ c.t()).exp().sum().backward()
    found = contrast_flops(7, 4, 5, candidate_grad)
    assert found == counter.get_total_flops()


def test_structure() -> None:
    """By hand, for two rows of one number: half of the four products and
    sums, and each of the four times a row for the gradient.
    """
    assert uniformity_flops(2, 1) == 2 * 2 + 4 * 2
    # X'X and Y'Y are 2 multiplications and 2 additions each, halved; X'Y is
    # not; four products for the gradients.
    assert gram_flops(2, 1) == 2 + 2 + 4 + 4 * 4


def test_methods_are_sums_of_their_parts() -> None:
    llm, dim = 6, 2
    down, up = (6, 4, 2), (2, 4, 6)
    assert con_flops(9, (3, 4, 5, 7), llm, dim) == (
        mlp_flops(16, down, False)
        + contrast_flops(3, 9, dim)
        + contrast_flops(4, 4, dim)
        + contrast_flops(5, 5, dim)
    )
    assert gen_flops(3, llm, dim) == mlp_flops(3, up, True) + contrast_flops(
        3, 3, llm, candidate_grad=False
    )
    assert darec_flops(8, llm, dim) == (
        2 * mlp_flops(8, (2, 2, 2), True)
        + 2 * mlp_flops(8, down, False)
        + 2 * uniformity_flops(8, dim)
        + gram_flops(8, dim)
    )


def test_rates() -> None:
    assert roofline.copy_bandwidth(mib=1) > 1e6
    small = roofline.matrix_rate(torch.float32, (64, 64, 64))
    assert small > 1e6


def test_part_of_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def rate(
        dtype: torch.dtype, shape: tuple[int, int, int], *rest: object
    ) -> float:
        shapes.append(shape)
        return 1e9

    monkeypatch.setattr(roofline, '_rate', rate)
    assert roofline.matrix_rate(torch.bfloat16, (4096, 128, 512)) == 1e9
    assert shapes == [(256, 128, 256), (4096, 128, 512)]
    shapes.clear()
    assert roofline.matrix_rate(torch.bfloat16, (4096, 128, 1024)) == 1e9
    assert shapes == [(256, 128, 256)] * 2
