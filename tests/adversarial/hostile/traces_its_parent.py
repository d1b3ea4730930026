#| task = "triton_add"
#| class = "attacks on the process's memory"
#| does = "attaches to its parent as a debugger does"
#| status = ["compile-error"]
#| says = "refused by the kernel"
import ctypes
import os

import triton
import triton.language as tl

if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0):
    raise OSError("refused by the kernel")


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
