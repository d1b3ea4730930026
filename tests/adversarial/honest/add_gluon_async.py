#| task = "triton_add"
#| class = "explicit layouts"
#| does = "Gluon with a ring of asynchronous copies, each of which is waited for two steps later"
#| overrides = { "constants.BLOCK" = 512, "launch.grid" = ["min(cdiv(N, BLOCK), 432)"] }
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy

# Its name up to Triton 3.8.
async_load = getattr(async_copy, "async_load", None) or async_copy.async_copy_global_to_shared


@gluon.jit
def fetch(x_ptr, y_ptr, at, n, xs, ys):
    async_load(xs, x_ptr + at, mask=at < n)
    async_load(ys, y_ptr + at, mask=at < n)
    async_copy.commit_group()


@gluon.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: gl.constexpr):
    STAGES: gl.constexpr = 2
    layout: gl.constexpr = gl.BlockedLayout([1], [32], [gl.num_warps()], [0])
    plain: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, order=[0])
    xs = gl.allocate_shared_memory(x_ptr.dtype.element_ty, [STAGES, BLOCK], plain)
    ys = gl.allocate_shared_memory(x_ptr.dtype.element_ty, [STAGES, BLOCK], plain)
    within = gl.arange(0, BLOCK, layout=layout)
    first, step = gl.program_id(0) * BLOCK, gl.num_programs(0) * BLOCK
    for s in gl.static_range(STAGES):
        fetch(x_ptr, y_ptr, first + s * step + within, n, xs.index(s), ys.index(s))
    slot = 0
    for start in range(first, n, step):
        async_copy.wait_group(STAGES - 1)
        gl.barrier()
        sums = xs.index(slot).load(layout) + ys.index(slot).load(layout)
        gl.store(z_ptr + start + within, sums, mask=start + within < n)
        gl.barrier()
        fetch(x_ptr, y_ptr, start + STAGES * step + within, n, xs.index(slot), ys.index(slot))
        slot = (slot + 1) % STAGES
    async_copy.wait_group(0)
