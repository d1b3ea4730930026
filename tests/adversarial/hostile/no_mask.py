#| task = "triton_add"
#| class = "dropped edges of the tile"
#| does = "stores whole blocks, whatever comes behind the output"
#| status = ["fault", "findings"]
#| says = "out-of-bounds"
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n))
