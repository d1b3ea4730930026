#| task = "triton_add"
#| class = "attacks on the process's memory"
#| does = "opens its own memory, to write where Python does not let it"
#| status = ["compile-error"]
#| says = "PermissionError"
import triton
import triton.language as tl

open("/proc/self/mem", "r+b").write(b"x")


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
