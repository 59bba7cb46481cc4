"""What the hardware allows: measured rates of this machine, and the bytes and
operations that a method cannot avoid.

    python benchmarks/roofline.py --threads 2

prints the rates. The counts below are lower bounds: every number that is needed
is moved once, and only matrix products count as operations.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from timing import warm_seconds

WORD = 4  # bytes of a float32 and of an int32
# Rows and columns of a part of a product, and seconds that are long.
_PART = 256
_LONG = 1.0


def copy_bandwidth(mib: int = 256, device: str = 'cpu') -> float:
    """Bytes a second, those read and those written together."""
    source = torch.ones(mib << 20, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    seconds = warm_seconds(lambda: target.copy_(source), device=device)
    return 2 * source.numel() / statistics.median(seconds)


def matrix_rate(
    dtype: torch.dtype,
    shape: tuple[int, int, int] = (2048, 2048, 2048),
    device: str = 'cpu',
) -> float:
    """Operations a second of a product of ``(m, k)`` and ``(k, n)``; of a
    part of it where the whole would take long, as it does on processors that
    do not know the dtype.
    """
    m, k, n = shape
    part = min(m, _PART), k, min(n, _PART)
    # The fastest call, which nothing else on the machine slowed down.
    if 2 * m * k * n > _LONG * _rate(dtype, part, device, min):
        shape = part
    return _rate(dtype, shape, device, statistics.median)


def _rate(
    dtype: torch.dtype,
    shape: tuple[int, int, int],
    device: str,
    average: Callable[[list[float]], float],
) -> float:
    m, k, n = shape
    a, b = (
        torch.randn(size, device=device).to(dtype) for size in ((m, k), (k, n))
    )
    out = torch.empty(m, n, dtype=dtype, device=device)
    seconds = warm_seconds(lambda: torch.mm(a, b, out=out), device=device)
    return 2 * m * k * n / average(seconds)


def rates(device: str = 'cpu') -> dict[str, float]:
    thin = 4096, 32, 8192
    # A GPU has to be kept busy for longer than it takes to be told.
    mib, square = (256, 2048) if device == 'cpu' else (4096, 8192)
    shape = square, square, square
    return {
        'threads': torch.get_num_threads(),
        'copy_bytes_per_second': copy_bandwidth(mib, device),
        'float32_flops': matrix_rate(torch.float32, shape, device),
        'bfloat16_flops': matrix_rate(torch.bfloat16, shape, device),
        # What is left of it where the inner dimension is that of embeddings.
        'float32_thin_flops': matrix_rate(torch.float32, thin, device),
        'bfloat16_thin_flops': matrix_rate(torch.bfloat16, thin, device),
    }


def propagation_bytes(
    num_users: int, num_items: int, num_edges: int, dim: int, num_layers: int
) -> dict[str, int]:
    """Both directions of all layers, in int32 and float32. ``'once'`` reads
    each embedding once in a layer, as a cache that holds them all allows;
    ``'gathered'`` reads one for every edge, as one that holds none needs.
    """
    nodes = num_users + num_items
    matrix = WORD * (2 * 2 * num_edges + nodes + 2)  # columns, values, rows
    table = WORD * nodes * dim
    gathered = WORD * 2 * num_edges * dim
    return {
        'once': num_layers * (matrix + 2 * table),
        'gathered': num_layers * (matrix + gathered + table),
    }


def propagation_flops(num_edges: int, dim: int, num_layers: int) -> int:
    return num_layers * 2 * 2 * num_edges * dim


def mlp_flops(rows: int, widths: Sequence[int], input_grad: bool) -> int:
    """Forward and backward of linear layers; constant inputs need none of
    the gradient that costs as much as the first product.
    """
    products = [2 * rows * i * o for i, o in pairwise(widths)]
    return 3 * sum(products) - (0 if input_grad else products[0])


def contrast_flops(
    anchors: int, candidates: int, dim: int, candidate_grad: bool = True
) -> int:
    """Similarities of all pairs and the gradients of both of their sides."""
    return (3 if candidate_grad else 2) * 2 * anchors * candidates * dim


def uniformity_flops(rows: int, dim: int) -> int:
    """Each pair of rows once forward, and each row against all backward."""
    return 3 * rows * rows * dim


def gram_flops(rows: int, dim: int) -> int:
    """``X'X``, ``Y'Y`` (halves of symmetric matrices) and ``X'Y``, and two
    products for the gradient of each of ``X`` and ``Y``.
    """
    return 4 * rows * dim * dim + 8 * rows * dim * dim


def darec_flops(rows: int, llm_dim: int, dim: int) -> int:
    """A step of DaRec on a sample of nodes, without its k-means."""
    cf = mlp_flops(rows, (dim, dim, dim), input_grad=True)
    llm = mlp_flops(rows, _widths(llm_dim, dim), input_grad=False)
    return 2 * (cf + llm + uniformity_flops(rows, dim)) + gram_flops(rows, dim)


def con_flops(
    num_users: int, unique: tuple[int, int, int, int], llm_dim: int, dim: int
) -> int:
    """A step of RLMRec-Con with all users as candidates; ``unique`` counts
    the users, positive items, negative items and items of a batch.
    """
    users, pos, neg, items = unique
    widths = _widths(llm_dim, dim)
    return mlp_flops(num_users + items, widths, input_grad=False) + sum(
        contrast_flops(a, c, dim)
        for a, c in ((users, num_users), (pos, pos), (neg, neg))
    )


def gen_flops(masked: int, llm_dim: int, dim: int) -> int:
    """A step of RLMRec-Gen; profiles are constant."""
    widths = _widths(llm_dim, dim)[::-1]
    contrast = contrast_flops(masked, masked, llm_dim, candidate_grad=False)
    return mlp_flops(masked, widths, input_grad=True) + contrast


def _widths(llm_dim: int, dim: int) -> tuple[int, int, int]:
    return llm_dim, (llm_dim + dim) // 2, dim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--threads', type=int)
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    print(json.dumps(rates(), indent=1))


if __name__ == '__main__':
    main()
