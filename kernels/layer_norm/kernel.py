"""Layer norm: the forward pass, the gradient of the input, and the gradients of weight and bias."""

import torch
import triton
import triton.language as tl


@triton.jit
def layer_norm_kernel(x_ptr, weight_ptr, bias_ptr, y_ptr, mean_ptr, rstd_ptr, cols, eps, BLOCK: tl.constexpr):
    """Write y = (x - mean) * rstd * weight + bias for one row of x (rows, cols), and mean and rstd in fp32.

    The variance is summed around the mean in a pass of its own, which keeps it exact where the mean is large.
    """
    row = tl.program_id(0)
    x_row = x_ptr + row.to(tl.int64) * cols
    y_row = y_ptr + row.to(tl.int64) * cols
    offs = tl.arange(0, BLOCK)

    total = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, cols, BLOCK):
        total += tl.load(x_row + start + offs, mask=start + offs < cols, other=0.0).to(tl.float32)
    mean = tl.sum(total, 0) / cols

    squares = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, cols, BLOCK):
        mask = start + offs < cols
        x = tl.load(x_row + start + offs, mask=mask, other=0.0).to(tl.float32)
        centred = tl.where(mask, x - mean, 0.0)
        squares += centred * centred
    rstd = 1.0 / tl.sqrt(tl.sum(squares, 0) / cols + eps)

    for start in tl.range(0, cols, BLOCK):
        mask = start + offs < cols
        x = tl.load(x_row + start + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
        bias = tl.load(bias_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
        y = (x - mean) * rstd * weight + bias
        tl.store(y_row + start + offs, y.to(y_ptr.dtype.element_ty), mask=mask)

    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)


@triton.jit
def layer_norm_backward_input_kernel(x_ptr, weight_ptr, dy_ptr, mean_ptr, rstd_ptr, dx_ptr, cols, BLOCK: tl.constexpr):
    """Write dx for one row, from the mean and rstd that the forward pass saved.

    With n = (x - mean) * rstd and g = dy * weight, dx = rstd * (g - avg(g) - n * avg(g * n)).
    """
    row = tl.program_id(0)
    first = row.to(tl.int64) * cols
    offs = tl.arange(0, BLOCK)
    mean = tl.load(mean_ptr + row)
    rstd = tl.load(rstd_ptr + row)

    sum_g = tl.zeros([BLOCK], tl.float32)
    sum_gn = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, cols, BLOCK):
        mask = start + offs < cols
        x = tl.load(x_ptr + first + start + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
        g = tl.load(dy_ptr + first + start + offs, mask=mask, other=0.0).to(tl.float32) * weight
        sum_g += g
        sum_gn += g * (x - mean) * rstd
    avg_g = tl.sum(sum_g, 0) / cols
    avg_gn = tl.sum(sum_gn, 0) / cols

    for start in tl.range(0, cols, BLOCK):
        mask = start + offs < cols
        x = tl.load(x_ptr + first + start + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
        g = tl.load(dy_ptr + first + start + offs, mask=mask, other=0.0).to(tl.float32) * weight
        dx = rstd * (g - avg_g - (x - mean) * rstd * avg_gn)
        tl.store(dx_ptr + first + start + offs, dx.to(dx_ptr.dtype.element_ty), mask=mask)


@triton.jit
def layer_norm_backward_weight_kernel(
    x_ptr,
    dy_ptr,
    mean_ptr,
    rstd_ptr,
    dweight_ptr,
    dbias_ptr,
    rows,
    cols,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Write dweight = sum over rows of dy * (x - mean) * rstd and dbias = sum of dy, for BLOCK_N columns, in fp32."""
    offs_n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    dweight = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    dbias = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start_m in tl.range(0, rows, BLOCK_M):
        offs_m = start_m + tl.arange(0, BLOCK_M)
        mask_m = offs_m < rows
        mask = mask_m[:, None] & (offs_n[None, :] < cols)
        tile = offs_m[:, None].to(tl.int64) * cols + offs_n[None, :]
        x = tl.load(x_ptr + tile, mask=mask, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + tile, mask=mask, other=0.0).to(tl.float32)
        mean = tl.load(mean_ptr + offs_m, mask=mask_m, other=0.0)
        rstd = tl.load(rstd_ptr + offs_m, mask=mask_m, other=0.0)
        dweight += dy * (x - mean[:, None]) * rstd[:, None]
        dbias += dy
    tl.store(dweight_ptr + offs_n, tl.sum(dweight, 0), mask=offs_n < cols)
    tl.store(dbias_ptr + offs_n, tl.sum(dbias, 0), mask=offs_n < cols)


def layer_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Layer norm of each row of a contiguous matrix; returns y, and the rows' mean and rstd for the backward pass."""
    rows, cols = x.shape
    y = torch.empty_like(x)
    mean = torch.empty(rows, device=x.device, dtype=torch.float32)
    rstd = torch.empty_like(mean)
    layer_norm_kernel[(rows,)](x, weight, bias, y, mean, rstd, cols, eps, BLOCK=1024, num_warps=4)
    return y, mean, rstd


def layer_norm_backward(
    x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients (dx, dweight, dbias); those of weight and bias are fp32."""
    rows, cols = x.shape
    dx = torch.empty_like(x)
    dweight = torch.empty(cols, device=x.device, dtype=torch.float32)
    dbias = torch.empty_like(dweight)
    layer_norm_backward_input_kernel[(rows,)](x, weight, dy, mean, rstd, dx, cols, BLOCK=1024, num_warps=4)
    layer_norm_backward_weight_kernel[(triton.cdiv(cols, 64),)](
        x, dy, mean, rstd, dweight, dbias, rows, cols, BLOCK_M=32, BLOCK_N=64, num_warps=4
    )
    return dx, dweight, dbias
