"""Softmax of each row in two passes over its columns: running maximum and sum, then the quotients."""

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def softmax_kernel(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    """Write the softmax of one row of x (rows, cols) to y; both contiguous, any number of columns."""
    row = tl.program_id(0).to(tl.int64) * cols
    offs = tl.arange(0, BLOCK)

    row_max = float("-inf")
    row_sum = 0.0
    for start in tl.range(0, cols, BLOCK):
        x = tl.load(x_ptr + row + start + offs, mask=start + offs < cols, other=float("-inf"))
        x = x.to(tl.float32) * LOG2_E
        new_max = tl.maximum(row_max, tl.max(x, 0))
        row_sum = row_sum * tl.exp2(row_max - new_max) + tl.sum(tl.exp2(x - new_max), 0)
        row_max = new_max

    for start in tl.range(0, cols, BLOCK):
        x = tl.load(x_ptr + row + start + offs, mask=start + offs < cols, other=float("-inf"))
        y = tl.exp2(x.to(tl.float32) * LOG2_E - row_max) / row_sum
        tl.store(y_ptr + row + start + offs, y.to(y_ptr.dtype.element_ty), mask=start + offs < cols)


def softmax(x: torch.Tensor) -> torch.Tensor:
    """Softmax over the last dimension of a contiguous matrix."""
    y = torch.empty_like(x)
    softmax_kernel[(x.shape[0],)](x, y, x.shape[1], BLOCK=1024, num_warps=4, num_stages=2)
    return y
