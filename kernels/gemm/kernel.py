"""GEMM: c = a @ b for row-major matrices, one program per tile of c, tiles ordered for reuse in the L2 cache."""

import torch
import triton
import triton.language as tl


@triton.jit
def _tile_of_program(pid, m, n, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP_M: tl.constexpr):
    """Walk the tiles of c in bands of GROUP_M rows of tiles, so that neighbours share rows of a and columns of b."""
    tiles_m = tl.cdiv(m, BLOCK_M)
    band_size = GROUP_M * tl.cdiv(n, BLOCK_N)
    first_m = pid // band_size * GROUP_M
    band_rows = tl.minimum(tiles_m - first_m, GROUP_M)
    return first_m + pid % band_size % band_rows, pid % band_size // band_rows


@triton.jit
def gemm_kernel(
    a_ptr,
    b_ptr,
    c_ptr,
    m,
    n,
    k,
    stride_a,
    stride_b,
    stride_c,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
    EVEN_K: tl.constexpr,
):
    """Multiply a (m, k) by b (k, n) into c (m, n); each stride is the distance between rows in elements.

    Sums in fp32. EVEN_K promises that BLOCK_K divides k, so that the loop needs no bound along k.
    """
    pid_m, pid_n = _tile_of_program(tl.program_id(0), m, n, BLOCK_M, BLOCK_N, GROUP_M)
    offs_m = pid_m * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    mask_m = offs_m[:, None] < m
    mask_n = offs_n[None, :] < n

    a_ptrs = a_ptr + offs_m[:, None].to(tl.int64) * stride_a + offs_k[None, :]
    b_ptrs = b_ptr + offs_k[:, None].to(tl.int64) * stride_b + offs_n[None, :]
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start_k in tl.range(0, k, BLOCK_K):
        mask_a = mask_m if EVEN_K else mask_m & (start_k + offs_k[None, :] < k)
        mask_b = mask_n if EVEN_K else mask_n & (start_k + offs_k[:, None] < k)
        a = tl.load(a_ptrs, mask=mask_a, other=0.0)
        b = tl.load(b_ptrs, mask=mask_b, other=0.0)
        acc = tl.dot(a, b, acc)
        a_ptrs += BLOCK_K
        b_ptrs += BLOCK_K * stride_b

    c_ptrs = c_ptr + offs_m[:, None].to(tl.int64) * stride_c + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=mask_m & mask_n)


def _config(block_m: int, block_n: int, block_k: int, warps: int, stages: int) -> triton.Config:
    tile = {"BLOCK_M": block_m, "BLOCK_N": block_n, "BLOCK_K": block_k, "GROUP_M": 8}
    return triton.Config(tile, num_warps=warps, num_stages=stages)


gemm_kernel_tuned = triton.autotune(
    configs=[
        _config(128, 256, 64, warps=8, stages=3),
        _config(128, 128, 64, warps=8, stages=3),
        _config(128, 128, 32, warps=4, stages=4),
        _config(128, 64, 32, warps=4, stages=4),
        _config(64, 64, 32, warps=4, stages=5),
    ],
    key=["m", "n", "k"],
)(gemm_kernel)


def gemm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a @ b in a's dtype; the rows of both must be contiguous."""
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)
    tile = {"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP_M": 8}
    gemm_kernel[(triton.cdiv(m, 128) * triton.cdiv(n, 128),)](
        a,
        b,
        c,
        m,
        n,
        k,
        a.stride(0),
        b.stride(0),
        c.stride(0),
        **tile,
        EVEN_K=k % 64 == 0,
        num_warps=8,
        num_stages=3,
    )
    return c


def gemm_tuned(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a @ b with the tile that measures fastest for this shape on this GPU."""
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)

    def grid(tile: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(m, tile["BLOCK_M"]) * triton.cdiv(n, tile["BLOCK_N"]),)

    strides = a.stride(0), b.stride(0), c.stride(0)
    gemm_kernel_tuned[grid](a, b, c, m, n, k, *strides, EVEN_K=k % 64 == 0)
    return c
