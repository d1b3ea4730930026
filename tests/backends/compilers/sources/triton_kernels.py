"""Triton kernels for what the examples do not have: tuples, constants of many kinds, mistakes."""

import triton
import triton.language as tl


@triton.jit
def tuple_kernel(pair, out_ptr, scale, flag, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    value = tl.load(pair[0] + offsets) * pair[1] * scale
    tl.store(out_ptr + offsets, value + flag)


@triton.jit
def typed_kernel(x_ptr, y_ptr, DTYPE: tl.constexpr):
    offsets = tl.arange(0, 128)
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets).to(DTYPE))


@triton.jit
def broken_kernel(x_ptr, n):
    tl.store(x_ptr, undefined_name + n)  # noqa: F821


@triton.jit
def heavy_kernel(x_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets)
    for _ in tl.static_range(4):
        x = tl.sort(x)
    tl.store(x_ptr + offsets, x)
