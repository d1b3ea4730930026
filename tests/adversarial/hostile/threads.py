#| task = "triton_add"
#| class = "a fork bomb"
#| does = "starts threads without end"
#| status = ["crash", "compile-error", "timeout"]
#| says = "processes|thread|took too long|memory"
#| wall_s = 12.0
import threading
import time

import triton
import triton.language as tl

while True:
    threading.Thread(target=time.sleep, args=(1000,)).start()


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
