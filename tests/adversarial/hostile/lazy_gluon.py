#| task = "triton_add"
#| class = "lazy results"
#| does = "reads what an asynchronous copy brings without waiting for it, which Gluon leaves to its author"
#| status = ["findings", "wrong-result", "fault"]
#| says = "async|wait|elements wrong"
#| overrides = { "constants.BLOCK" = 512 }
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy

# Its name up to Triton 3.8.
async_load = getattr(async_copy, "async_load", None) or async_copy.async_copy_global_to_shared


@gluon.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: gl.constexpr):
    layout: gl.constexpr = gl.BlockedLayout([1], [32], [gl.num_warps()], [0])
    plain: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, order=[0])
    xs = gl.allocate_shared_memory(x_ptr.dtype.element_ty, [BLOCK], plain)
    at = gl.program_id(0) * BLOCK + gl.arange(0, BLOCK, layout=layout)
    async_load(xs, x_ptr + at, mask=at < n)
    async_copy.commit_group()
    y = gl.load(y_ptr + at, mask=at < n)
    gl.barrier()
    gl.store(z_ptr + at, xs.load(layout) + y, mask=at < n)
