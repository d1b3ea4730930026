#| task = "triton_add"
#| class = "plain"
#| does = "blocks of 2048 elements, eight warps, 64-bit offsets"
#| overrides = { "constants.BLOCK" = 2048, "launch.num_warps" = 8 }
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(z_ptr + at, tl.load(x_ptr + at, inside) + tl.load(y_ptr + at, inside), inside)
