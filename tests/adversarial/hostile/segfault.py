#| task = "triton_add"
#| class = "a corrupted context"
#| does = "crashes the compiler's process"
#| status = ["crash"]
#| says = "SIGSEGV"
import ctypes

import triton
import triton.language as tl

ctypes.string_at(0)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
