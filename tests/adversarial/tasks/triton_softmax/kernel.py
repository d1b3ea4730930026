"""Softmax of each row, which fits one block, a program for each."""

import triton
import triton.language as tl


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * cols
    x = tl.load(x_ptr + row + at, mask=at < cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, 0))
    tl.store(y_ptr + row + at, e / tl.sum(e, 0), mask=at < cols)
