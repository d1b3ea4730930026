"""GEMM with 4-bit weights: c = a @ (scale * (q - 8)), where q is unpacked from int32 words inside the loop."""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_int4_kernel(
    a_ptr,
    q_ptr,
    scale_ptr,
    c_ptr,
    m,
    n,
    k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_K: tl.constexpr,
):
    """Multiply a (m, k) by dequantised weights (k, n) into c (m, n); all contiguous, sums in fp32.

    Weight (i, j) is bits 4 * (i % 8) and up of word (i // 8, j) of q, less 8, times scale (i // GROUP_K, j).
    BLOCK_K divides GROUP_K, and GROUP_K divides k, so that a block needs one row of scales.
    """
    tiles_n = tl.cdiv(n, BLOCK_N)
    offs_m = tl.program_id(0) // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = tl.program_id(0) % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    mask_m = offs_m[:, None] < m
    mask_n = offs_n[None, :] < n
    shifts = (offs_k[:, None] % 8) * 4

    a_ptrs = a_ptr + offs_m[:, None].to(tl.int64) * k + offs_k[None, :]
    q_ptrs = q_ptr + (offs_k[:, None] // 8).to(tl.int64) * n + offs_n[None, :]
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start_k in tl.range(0, k, BLOCK_K):
        a = tl.load(a_ptrs, mask=mask_m, other=0.0)
        q = tl.load(q_ptrs, mask=mask_n, other=0)
        scale = tl.load(scale_ptr + start_k // GROUP_K * n + offs_n[None, :], mask=mask_n, other=0.0)
        b = (((q >> shifts) & 15) - 8).to(a.dtype) * scale
        acc = tl.dot(a, b, acc)
        a_ptrs += BLOCK_K
        q_ptrs += BLOCK_K // 8 * n

    c_ptrs = c_ptr + offs_m[:, None].to(tl.int64) * n + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=mask_m & mask_n)


def gemm_int4(a: torch.Tensor, q: torch.Tensor, scale: torch.Tensor, GROUP_K: int = 128) -> torch.Tensor:
    """Return a @ weights for a (m, k), packed int32 q (k // 8, n) and scale (k // GROUP_K, n)."""
    (m, k), n = a.shape, q.shape[1]
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)
    gemm_int4_kernel[(triton.cdiv(m, 64) * triton.cdiv(n, 128),)](
        *(a, q, scale, c, m, n, k),
        BLOCK_M=64,
        BLOCK_N=128,
        BLOCK_K=64,
        GROUP_K=GROUP_K,
        num_warps=4,
        num_stages=3,
    )
    return c
