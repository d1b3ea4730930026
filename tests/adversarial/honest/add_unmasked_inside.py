#| task = "triton_add"
#| class = "early exit"
#| does = "whole blocks without a mask, the last one with it"
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    start = tl.program_id(0) * BLOCK
    at = start + tl.arange(0, BLOCK)
    if start + BLOCK <= n:
        tl.store(z_ptr + at, tl.load(x_ptr + at) + tl.load(y_ptr + at))
    else:
        tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
