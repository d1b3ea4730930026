#| task = "triton_add"
#| class = "attacks on the process's memory"
#| does = "kills the process that started it"
#| status = ["compile-error"]
#| says = "PermissionError|ProcessLookupError"
import os
import signal

import triton
import triton.language as tl

os.kill(os.getppid(), signal.SIGKILL)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
