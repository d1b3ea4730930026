#| task = "triton_add"
#| class = "a memory bomb"
#| does = "asks for memory without end"
#| status = ["compile-error", "crash"]
#| says = "MemoryError|memory"
import triton
import triton.language as tl

held = []
while True:
    held.append(bytearray(64 << 20))


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
