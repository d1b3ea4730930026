"""FP8 GEMM with a scale for each row of a and each row of b: c = (scale_a * a) @ (scale_b * b)^T."""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_fp8_kernel(
    a_ptr,
    b_ptr,
    scale_a_ptr,
    scale_b_ptr,
    c_ptr,
    m,
    n,
    k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
    EVEN_K: tl.constexpr,
):
    """Multiply fp8 a (m, k) by the transpose of fp8 b (n, k) into c (m, n); all contiguous, sums in fp32.

    Both operands have k innermost, as the 8-bit tensor cores want it. The scales (fp32, m and n of them) are
    constant along k, and so are applied once to the sums. EVEN_K promises that BLOCK_K divides k.
    """
    tiles_m = tl.cdiv(m, BLOCK_M)
    band_size = GROUP_M * tl.cdiv(n, BLOCK_N)
    first_m = tl.program_id(0) // band_size * GROUP_M
    band_rows = tl.minimum(tiles_m - first_m, GROUP_M)
    pid_m = first_m + tl.program_id(0) % band_size % band_rows
    pid_n = tl.program_id(0) % band_size // band_rows

    offs_m = pid_m * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    mask_m = offs_m < m
    mask_n = offs_n < n

    a_ptrs = a_ptr + offs_m[:, None].to(tl.int64) * k + offs_k[None, :]
    b_ptrs = b_ptr + offs_n[None, :].to(tl.int64) * k + offs_k[:, None]
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start_k in tl.range(0, k, BLOCK_K):
        mask_a = mask_m[:, None] if EVEN_K else mask_m[:, None] & (start_k + offs_k[None, :] < k)
        mask_b = mask_n[None, :] if EVEN_K else mask_n[None, :] & (start_k + offs_k[:, None] < k)
        a = tl.load(a_ptrs, mask=mask_a, other=0.0)
        b = tl.load(b_ptrs, mask=mask_b, other=0.0)
        acc = tl.dot(a, b, acc)
        a_ptrs += BLOCK_K
        b_ptrs += BLOCK_K

    scale_a = tl.load(scale_a_ptr + offs_m, mask=mask_m, other=0.0)
    scale_b = tl.load(scale_b_ptr + offs_n, mask=mask_n, other=0.0)
    acc = acc * scale_a[:, None] * scale_b[None, :]
    c_ptrs = c_ptr + offs_m[:, None].to(tl.int64) * n + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=mask_m[:, None] & mask_n[None, :])


def gemm_fp8(a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor) -> torch.Tensor:
    """Return the fp16 product of scaled fp8 matrices a (m, k) and b (n, k), both contiguous."""
    (m, k), n = a.shape, b.shape[0]
    c = torch.empty((m, n), device=a.device, dtype=torch.float16)
    gemm_fp8_kernel[(triton.cdiv(m, 128) * triton.cdiv(n, 128),)](
        *(a, b, scale_a, scale_b, c, m, n, k),
        BLOCK_M=128,
        BLOCK_N=128,
        BLOCK_K=128,
        GROUP_M=8,
        EVEN_K=k % 128 == 0,
        num_warps=8,
        num_stages=3,
    )
    return c
