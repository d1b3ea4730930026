#| task = "triton_add"
#| class = "leftover files"
#| does = "writes to the folder in which compiled kernels are kept"
#| status = ["compile-error"]
#| says = "PermissionError|Read-only|FileNotFoundError"
from pathlib import Path

import triton
import triton.language as tl

Path.home().joinpath(".cache", "poison").write_text("x")


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
