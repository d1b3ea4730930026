#| task = "triton_add"
#| class = "persistent"
#| does = "a fixed number of programs, each of which goes on in strides"
#| overrides = { "launch.grid" = [216], "constants.BLOCK" = 1024 }
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    for start in range(tl.program_id(0) * BLOCK, n, tl.num_programs(0) * BLOCK):
        at = start + tl.arange(0, BLOCK)
        tl.store(z_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)
