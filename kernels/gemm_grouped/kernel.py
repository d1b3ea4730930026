"""Grouped GEMM: rows of a come in ragged groups, and each group is multiplied by a matrix of its own."""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_grouped_kernel(
    a_ptr,
    b_ptr,
    offsets_ptr,
    c_ptr,
    groups,
    n,
    k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    EVEN_K: tl.constexpr,
):
    """Set rows offsets[g] to offsets[g + 1] of c (m, n) to the same rows of a (m, k) times b[g] (k, n).

    All are contiguous, sums in fp32. The tiles of all groups are numbered through, and program i of P takes
    tiles i, i + P, ...; a group may be empty. EVEN_K promises that BLOCK_K divides k.
    """
    programs = tl.num_programs(0)
    tiles_n = tl.cdiv(n, BLOCK_N)
    tile = tl.program_id(0)
    for group in tl.range(0, groups):
        start_m = tl.load(offsets_ptr + group)
        end_m = tl.load(offsets_ptr + group + 1)
        tiles = tl.cdiv(end_m - start_m, BLOCK_M) * tiles_n
        rounds = tl.cdiv(tl.maximum(tiles - tile, 0), programs)
        # Not over tl.range(tile, tiles, programs): Triton before 3.8 takes a carried value that only bounds an inner
        # loop for dead, and every group would start at the program's own number.
        for step in tl.range(0, rounds):
            this = tile + step * programs
            offs_m = start_m + this // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)
            offs_n = this % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)
            offs_k = tl.arange(0, BLOCK_K)
            mask_m = offs_m[:, None] < end_m
            mask_n = offs_n[None, :] < n

            a_ptrs = a_ptr + offs_m[:, None].to(tl.int64) * k + offs_k[None, :]
            b_ptrs = b_ptr + (group * k + offs_k[:, None]).to(tl.int64) * n + offs_n[None, :]
            acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
            for start_k in tl.range(0, k, BLOCK_K):
                mask_a = mask_m if EVEN_K else mask_m & (start_k + offs_k[None, :] < k)
                mask_b = mask_n if EVEN_K else mask_n & (start_k + offs_k[:, None] < k)
                a = tl.load(a_ptrs, mask=mask_a, other=0.0)
                b = tl.load(b_ptrs, mask=mask_b, other=0.0)
                acc = tl.dot(a, b, acc)
                a_ptrs += BLOCK_K
                b_ptrs += BLOCK_K * n

            c_ptrs = c_ptr + offs_m[:, None].to(tl.int64) * n + offs_n[None, :]
            tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=mask_m & mask_n)
        # On to the first tile of this program beyond the group, counted from the next group's first.
        tile += rounds * programs - tiles


def gemm_grouped(a: torch.Tensor, b: torch.Tensor, offsets: torch.Tensor, NUM_PROGRAMS: int = 132) -> torch.Tensor:
    """Multiply ragged groups of rows of a (m, k) by b (groups, k, n); offsets (groups + 1) are int32."""
    (m, k), (groups, _, n) = a.shape, b.shape
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)
    gemm_grouped_kernel[(NUM_PROGRAMS,)](
        *(a, b, offsets, c, groups, n, k),
        BLOCK_M=128,
        BLOCK_N=128,
        BLOCK_K=64,
        EVEN_K=k % 64 == 0,
        num_warps=8,
        num_stages=3,
    )
    return c
