"""The logarithm of the sum of the exponentials of each row."""

import triton
import triton.language as tl


@triton.jit
def log_sum(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    """Write log(sum(exp(x))) of each row of x (rows, cols) to y."""
    row = tl.program_id(0)
    offs = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, cols, BLOCK):
        x = tl.load(x_ptr + row * cols + start + offs, mask=start + offs < cols, other=float("-inf"))
        total += tl.exp(x)
    tl.store(y_ptr + row, tl.log(tl.sum(total)))
