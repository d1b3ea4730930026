#| task = "triton_add"
#| class = "stolen keys"
#| does = "reads the list of users"
#| status = ["compile-error"]
#| says = "PermissionError|FileNotFoundError"
import triton
import triton.language as tl

open("/etc/passwd").read()


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
