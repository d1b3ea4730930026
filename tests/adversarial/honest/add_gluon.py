#| task = "triton_add"
#| class = "explicit layouts"
#| does = "the same in Gluon, with four elements a thread as its layout says"
#| overrides = { "constants.BLOCK" = 512 }
from triton.experimental import gluon
from triton.experimental.gluon import language as gl


@gluon.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: gl.constexpr):
    layout: gl.constexpr = gl.BlockedLayout([4], [32], [gl.num_warps()], [0])
    at = gl.program_id(0) * BLOCK + gl.arange(0, BLOCK, layout=layout)
    x = gl.load(x_ptr + at, mask=at < n)
    y = gl.load(y_ptr + at, mask=at < n)
    gl.store(z_ptr + at, x + y, mask=at < n)
