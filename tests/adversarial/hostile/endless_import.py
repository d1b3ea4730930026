#| task = "triton_add"
#| class = "an endless loop"
#| does = "never ends when it is imported"
#| status = ["timeout"]
#| slow = true
#| says = "took too long"
#| wall_s = 12.0
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)

import triton
import triton.language as tl

while True:
    pass


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
