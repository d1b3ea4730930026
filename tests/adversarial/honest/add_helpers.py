#| task = "triton_add"
#| class = "templates"
#| does = "helper functions, module constants, arithmetic at import, and a host function that is not used"
import math

import triton
import triton.language as tl

ONE = tl.constexpr(int(math.sqrt(1.0)))


@triton.jit
def _sum(a, b):
    return a + ONE * b


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(z_ptr + at, _sum(tl.load(x_ptr + at, inside), tl.load(y_ptr + at, inside)), inside)


def host(x, y, z):
    add[(triton.cdiv(x.numel(), 256),)](x, y, z, x.numel(), BLOCK=256)
