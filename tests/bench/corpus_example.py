# ruff: noqa: N803 - Triton names constants so
"""Triton kernels for the tests of the corpus: each parameter is used in one way that the guesses know."""

import triton
import triton.language as tl


@triton.jit
def add_row(base, offset, value):
    """Add a value to memory."""
    tl.store(base + offset, tl.load(base + offset) + value)


@triton.heuristics({"USE_BIAS": lambda args: args["bias"] is not None})
@triton.autotune(configs=[triton.Config({"BD": 64}, num_warps=4)], key=["T"])
@triton.jit
def gather_scale(
    x,
    rows,
    out,
    bias,
    weight,
    T,
    row_start,
    scale,
    BD: tl.constexpr,
    WIDTH: tl.constexpr,
    USE_BIAS: tl.constexpr,
    MODE: tl.constexpr,
):
    """Gather rows of x by index and scale them, in a loop."""
    columns = tl.arange(0, WIDTH)
    p_x, p_out = x + columns, out + row_start
    if weight is not None:
        p_x += tl.load(weight).to(tl.int32)
    for i in range(T):
        row = tl.load(rows + i)
        value = tl.load(p_x + row * BD).to(tl.float32) * scale
        if USE_BIAS:
            value += tl.load(bias + columns)
        if MODE == "sum":
            value += 1
        add_row(p_out, i * BD + columns, value.to(out.dtype.element_ty))


@triton.jit
def sum_square(x, out, T, D: tl.constexpr):
    """Sum squares that are D wide; the guess for D makes them larger than any register file."""
    offsets = tl.arange(0, D)[:, None] * D + tl.arange(0, D)[None, :]
    total = tl.zeros((D, D), tl.float32)
    for i in range(T):
        total += tl.load(x + i * D * D + offsets).to(tl.float32)
    tl.store(out + offsets, total)
