#| task = "triton_add"
#| class = "another program"
#| does = "runs a shell"
#| status = ["compile-error"]
#| says = "PermissionError|not permitted"
import subprocess

import triton
import triton.language as tl

subprocess.run(["/bin/sh", "-c", "true"], check=True)


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
