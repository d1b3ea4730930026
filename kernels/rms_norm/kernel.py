"""RMS norm of each row in two passes over its columns: sum of squares, then scale."""

import torch
import triton
import triton.language as tl


@triton.jit
def rms_norm_kernel(x_ptr, weight_ptr, y_ptr, cols, eps, BLOCK: tl.constexpr):
    """Write y = x / sqrt(avg(x * x) + eps) * weight for one row of x (rows, cols); contiguous."""
    row = tl.program_id(0).to(tl.int64) * cols
    offs = tl.arange(0, BLOCK)

    squares = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, cols, BLOCK):
        x = tl.load(x_ptr + row + start + offs, mask=start + offs < cols, other=0.0).to(tl.float32)
        squares += x * x
    rstd = 1.0 / tl.sqrt(tl.sum(squares, 0) / cols + eps)

    for start in tl.range(0, cols, BLOCK):
        mask = start + offs < cols
        x = tl.load(x_ptr + row + start + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
        tl.store(y_ptr + row + start + offs, (x * rstd * weight).to(y_ptr.dtype.element_ty), mask=mask)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """RMS norm over the last dimension of a contiguous matrix."""
    y = torch.empty_like(x)
    rms_norm_kernel[(x.shape[0],)](x, weight, y, x.shape[1], eps, BLOCK=1024, num_warps=4, num_stages=2)
    return y
