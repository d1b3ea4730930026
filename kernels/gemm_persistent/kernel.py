"""Persistent GEMM over tensor descriptors: c = a @ b^T, a fixed set of programs walks the tiles of c."""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def gemm_persistent_kernel(
    a_desc,
    b_desc,
    c_desc,
    m,
    n,
    k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
    NUM_PROGRAMS: tl.constexpr,
):
    """Multiply a (m, k) by the transpose of b (n, k) into c (m, n), sums in fp32.

    Program i takes tiles i, i + NUM_PROGRAMS, ... in bands of GROUP_M rows of tiles. The descriptors have tiles
    (BLOCK_M, BLOCK_K), (BLOCK_N, BLOCK_K) and (BLOCK_M, BLOCK_N); they read zeros and write nothing outside.
    """
    tiles_m = tl.cdiv(m, BLOCK_M)
    tiles_n = tl.cdiv(n, BLOCK_N)
    band_size = GROUP_M * tiles_n
    for tile in tl.range(tl.program_id(0), tiles_m * tiles_n, NUM_PROGRAMS):
        first_m = tile // band_size * GROUP_M
        band_rows = tl.minimum(tiles_m - first_m, GROUP_M)
        start_m = (first_m + tile % band_size % band_rows) * BLOCK_M
        start_n = tile % band_size // band_rows * BLOCK_N

        acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for start_k in tl.range(0, k, BLOCK_K):
            a = a_desc.load([start_m, start_k])
            b = b_desc.load([start_n, start_k])
            acc = tl.dot(a, tl.trans(b), acc)
        c_desc.store([start_m, start_n], acc.to(c_desc.dtype))


def gemm_persistent(a: torch.Tensor, b: torch.Tensor, NUM_PROGRAMS: int = 132) -> torch.Tensor:
    """Return a @ b.T for row-major a (m, k) and b (n, k); rows must be multiples of 16 bytes.

    NUM_PROGRAMS is best the number of multiprocessors.
    """
    (m, k), n = a.shape, b.shape[0]
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)
    tiles = triton.cdiv(m, 128) * triton.cdiv(n, 128)
    gemm_persistent_kernel[(min(NUM_PROGRAMS, tiles),)](
        TensorDescriptor.from_tensor(a, [128, 64]),
        TensorDescriptor.from_tensor(b, [128, 64]),
        TensorDescriptor.from_tensor(c, [128, 128]),
        m,
        n,
        k,
        BLOCK_M=128,
        BLOCK_N=128,
        BLOCK_K=64,
        GROUP_M=8,
        NUM_PROGRAMS=NUM_PROGRAMS,
        num_warps=8,
        num_stages=3,
    )
    return c
