#| task = "triton_add"
#| class = "a fork bomb"
#| does = "forks without end"
#| status = ["crash", "compile-error", "timeout"]
#| says = "processes|memory|Error|took too long"
#| wall_s = 12.0
import os

import triton
import triton.language as tl

while True:
    os.fork()


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
