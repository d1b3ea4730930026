#| task = "triton_add"
#| class = "a silently failed launch"
#| does = "leaves with status 0 and no answer"
#| status = ["crash"]
#| says = "no answer"
import os

import triton
import triton.language as tl

os._exit(0)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
