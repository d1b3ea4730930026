"""Split-K GEMM: c += a @ b, several programs share a tile of c and add their parts of the sum atomically."""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_split_k_kernel(
    a_ptr,
    b_ptr,
    c_ptr,
    m,
    n,
    k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SPLIT_K: tl.constexpr,
    EVEN_K: tl.constexpr,
):
    """Add a (m, k) times b (k, n) to the fp32 matrix c (m, n); all contiguous.

    Part s of SPLIT_K takes blocks s, s + SPLIT_K, ... along k. The parts arrive in any order, so the last bits of
    c vary from run to run. EVEN_K promises that BLOCK_K divides k.
    """
    tiles_n = tl.cdiv(n, BLOCK_N)
    offs_m = tl.program_id(0) // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = tl.program_id(0) % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)
    first_k = tl.program_id(1) * BLOCK_K
    offs_k = tl.arange(0, BLOCK_K)
    mask_m = offs_m[:, None] < m
    mask_n = offs_n[None, :] < n

    a_ptrs = a_ptr + offs_m[:, None].to(tl.int64) * k + first_k + offs_k[None, :]
    b_ptrs = b_ptr + (first_k + offs_k[:, None]).to(tl.int64) * n + offs_n[None, :]
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start_k in tl.range(first_k, k, BLOCK_K * SPLIT_K):
        mask_a = mask_m if EVEN_K else mask_m & (start_k + offs_k[None, :] < k)
        mask_b = mask_n if EVEN_K else mask_n & (start_k + offs_k[:, None] < k)
        a = tl.load(a_ptrs, mask=mask_a, other=0.0)
        b = tl.load(b_ptrs, mask=mask_b, other=0.0)
        acc = tl.dot(a, b, acc)
        a_ptrs += BLOCK_K * SPLIT_K
        b_ptrs += BLOCK_K * SPLIT_K * n

    c_ptrs = c_ptr + offs_m[:, None].to(tl.int64) * n + offs_n[None, :]
    tl.atomic_add(c_ptrs, acc, mask=mask_m & mask_n, sem="relaxed")


def gemm_split_k(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, SPLIT_K: int = 4) -> torch.Tensor:
    """Return c + a @ b in fp32, for contiguous a (m, k), b (k, n) and fp32 c (m, n)."""
    (m, k), n = a.shape, b.shape[1]
    total = c.clone()
    gemm_split_k_kernel[(triton.cdiv(m, 64) * triton.cdiv(n, 128), SPLIT_K)](
        *(a, b, total, m, n, k),
        BLOCK_M=64,
        BLOCK_N=128,
        BLOCK_K=64,
        SPLIT_K=SPLIT_K,
        EVEN_K=k % 64 == 0,
        num_warps=4,
        num_stages=3,
    )
    return total
