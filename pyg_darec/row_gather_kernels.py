"""The kernels of :mod:`pyg_darec.row_gather`; importing them needs Triton."""

# Triton reads annotations, and knows of no others than its own.
# mypy: disable-error-code="no-untyped-def, name-defined, untyped-decorator"
import triton
import triton.language as tl


@triton.jit
def _sum_edges(
    start,
    end,
    col,
    value,
    x,
    lane,
    dim: tl.constexpr,
    edges: tl.constexpr,
    width: tl.constexpr,
):
    """The weighted sum of the rows of ``x`` that some edges lead to."""
    edge = tl.arange(0, edges)
    total = tl.zeros((edges, width), x.dtype.element_ty)
    for first in range(start, end, edges):
        there = first + edge < end
        row = tl.load(col + first + edge, mask=there, other=0).to(tl.int64)
        weight = tl.load(value + first + edge, mask=there, other=0.0)
        values = tl.load(
            x + row[:, None] * dim + lane[None, :],
            mask=there[:, None] & (lane[None, :] < dim),
            other=0.0,
        )
        total += weight[:, None] * values
    return tl.sum(total, axis=0)


@triton.jit
def sum_rows(
    ptr,
    col,
    value,
    x,
    out,
    dim: tl.constexpr,
    max_edges: tl.constexpr,
    edges: tl.constexpr,
    width: tl.constexpr,
):
    """One program a row and tile: its first ``max_edges`` edges."""
    row = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * width + tl.arange(0, width)
    start = tl.load(ptr + row)
    end = tl.minimum(tl.load(ptr + row + 1), start + max_edges)
    total = _sum_edges(start, end, col, value, x, lane, dim, edges, width)
    tl.store(out + row * dim + lane, total, mask=lane < dim)


@triton.jit
def add_long_rows(
    ptr,
    col,
    value,
    x,
    out,
    num_rows,
    dim: tl.constexpr,
    max_edges: tl.constexpr,
    edges: tl.constexpr,
    width: tl.constexpr,
):
    """One program for each ``max_edges`` edges in a row and tile: those of
    them that :func:`sum_rows` left out. They are of the row that the first one
    is of, as any other row begins among them, and its own first
    ``max_edges`` reach beyond.
    """
    first = tl.program_id(0) * max_edges
    lane = tl.program_id(1) * width + tl.arange(0, width)
    # ptr[low] <= first < ptr[high], as tensors where a number is 1, too.
    low = first * 0
    high = low + num_rows
    while high - low > 1:
        middle = (low + high) // 2
        if tl.load(ptr + middle) <= first:
            low = middle
        else:
            high = middle
    start = tl.maximum(tl.load(ptr + low) + max_edges, first)
    end = tl.minimum(tl.load(ptr + low + 1), first + max_edges)
    if start < end:
        total = _sum_edges(start, end, col, value, x, lane, dim, edges, width)
        place = out + low.to(tl.int64) * dim + lane
        tl.atomic_add(place, total, mask=lane < dim)
