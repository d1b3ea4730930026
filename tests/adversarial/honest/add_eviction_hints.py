#| task = "triton_add"
#| class = "cache hints"
#| does = "says that nothing is used twice"
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, eviction_policy="evict_first")
    y = tl.load(y_ptr + at, mask=at < n, eviction_policy="evict_first")
    tl.store(z_ptr + at, x + y, mask=at < n, cache_modifier=".cs")
