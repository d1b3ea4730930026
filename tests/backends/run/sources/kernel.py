"""Doubles a vector, or does one of several things wrong."""

import triton
import triton.language as tl


@triton.jit
def double_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr, FAULT: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    if FAULT == "out of bounds":
        mask = offsets < n + 5
    if FAULT == "unwritten":
        mask = offsets < n - 1
    x = tl.load(x_ptr + offsets, mask=offsets < n, other=0.0)
    y = 2 * x
    if FAULT == "wrong":
        y = tl.where(offsets == 3, y + 1, y)
    if FAULT == "endless":
        while tl.load(x_ptr) == tl.load(x_ptr):
            tl.store(x_ptr, tl.load(x_ptr))
    if FAULT == "overwrites":
        tl.store(x_ptr + offsets, y, mask=mask)
    if FAULT == "unsupported":
        y = tl.inline_asm_elementwise("{ mov.b32 $0, $1; pmevent 7; }", "=f,f", [y], tl.float32, is_pure=False, pack=1)
    if FAULT == "refused":
        tl.static_assert(False, "no such kernel")
    tl.store(y_ptr + offsets, y, mask=mask)
