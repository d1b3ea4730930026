"""Compute a matrix product on tensor cores: fragments of 16 x 16 x 16 through nvcuda::wmma, sums in fp32.

Precondition: a contraction (see `contraction`) of fp16 or bf16 operands whose factors are loads converted to float,
and whose bounds are scalar arguments. A block has four warps and a tile of 64 x 64 outputs; tiles of the operands are
staged in shared memory, with zeros beyond the matrices, so that any size is right.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... #include <cuda_fp16.h>
... __global__ void f(const __half* a, const __half* b, float* c, int m, int n, int k) {
...     int row = blockIdx.y * 16 + threadIdx.y;
...     int col = blockIdx.x * 16 + threadIdx.x;
...     if (row < m && col < n) {
...         float sum = 0.0f;
...         for (int i = 0; i < k; ++i) sum += __half2float(a[row * k + i]) * __half2float(b[i * n + col]);
...         c[row * n + col] = sum;
...     }
... }''', "in:a:fp16 in:b:fp16 out:c m n k", launch_block=[16, 16])
#include <mma.h>
#include <cuda_fp16.h>
__global__ void f(const __half* a, const __half* b, float* c, int m, int n, int k) {
    using namespace nvcuda;
    constexpr int TILE = 64, BK = 32, SIDE = 16, PAD = 8, THREADS = 128;
    __shared__ __align__(32) __half a_tile[TILE][BK + PAD];
    __shared__ __align__(32) __half b_tile[BK][TILE + PAD];
    __shared__ __align__(32) float c_tile[TILE][TILE + 4];
    int first_row = blockIdx.y * TILE;
    int first_col = blockIdx.x * TILE;
    int warp_row = threadIdx.x / 64 * 2 * SIDE;
    int warp_col = threadIdx.x / 32 % 2 * 2 * SIDE;
    wmma::fragment<wmma::accumulator, SIDE, SIDE, SIDE, float> sums[2][2];
    for (int r = 0; r < 2; ++r)
        for (int s = 0; s < 2; ++s) wmma::fill_fragment(sums[r][s], 0.0f);
    for (int start = 0; start < k; start += BK) {
        for (int e = threadIdx.x; e < TILE * BK; e += THREADS) {
            int row = first_row + e / BK;
            int i = start + e % BK;
            a_tile[e / BK][e % BK] = row < m && i < k ? a[row * k + i] : __half(0.0f);
        }
        for (int e = threadIdx.x; e < BK * TILE; e += THREADS) {
            int i = start + e / TILE;
            int col = first_col + e % TILE;
            b_tile[e / TILE][e % TILE] = i < k && col < n ? b[i * n + col] : __half(0.0f);
        }
        __syncthreads();
        for (int e = 0; e < BK; e += SIDE) {
            wmma::fragment<wmma::matrix_a, SIDE, SIDE, SIDE, __half, wmma::row_major> a_part[2];
            wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, __half, wmma::row_major> b_part[2];
            for (int r = 0; r < 2; ++r) {
                wmma::load_matrix_sync(a_part[r], &a_tile[warp_row + r * SIDE][e], BK + PAD);
                wmma::load_matrix_sync(b_part[r], &b_tile[e][warp_col + r * SIDE], TILE + PAD);
            }
            for (int r = 0; r < 2; ++r)
                for (int s = 0; s < 2; ++s) wmma::mma_sync(sums[r][s], a_part[r], b_part[s], sums[r][s]);
        }
        __syncthreads();
    }
    for (int r = 0; r < 2; ++r)
        for (int s = 0; s < 2; ++s)
            wmma::store_matrix_sync(
                &c_tile[warp_row + r * SIDE][warp_col + s * SIDE], sums[r][s], TILE + 4, wmma::mem_row_major);
    __syncthreads();
    for (int e = threadIdx.x; e < TILE * TILE; e += THREADS) {
        int row = first_row + e / TILE;
        int col = first_col + e % TILE;
        float sum = c_tile[e / TILE][e % TILE];
        if (row < m && col < n) { c[row * n + col] = sum; }
    }
}
// launch.block = [128]
// launch.grid = ['cdiv(N, 64)', 'cdiv(N, 64)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.contraction import Contraction, contraction_of
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_TYPES = {"__half", "half", "__nv_bfloat16"}
_THREADS = 128
_TILE = 64
_BODY = """\
using namespace nvcuda;
    constexpr int TILE = 64, BK = 32, SIDE = 16, PAD = 8, THREADS = 128;
    __shared__ __align__(32) {type} a_tile[TILE][BK + PAD];
    __shared__ __align__(32) {type} b_tile[BK][TILE + PAD];
    __shared__ __align__(32) float c_tile[TILE][TILE + 4];
    int first_row = blockIdx.y * TILE;
    int first_col = blockIdx.x * TILE;
    int warp_row = threadIdx.x / 64 * 2 * SIDE;
    int warp_col = threadIdx.x / 32 % 2 * 2 * SIDE;
    wmma::fragment<wmma::accumulator, SIDE, SIDE, SIDE, float> sums[2][2];
    for (int r = 0; r < 2; ++r)
        for (int s = 0; s < 2; ++s) wmma::fill_fragment(sums[r][s], 0.0f);
    for (int start = 0; start < {k}; start += BK) {{
        for (int e = threadIdx.x; e < TILE * BK; e += THREADS) {{
            int {row} = first_row + e / BK;
            int {i} = start + e % BK;
            a_tile[e / BK][e % BK] = {row} < {m} && {i} < {k} ? {left} : {type}(0.0f);
        }}
        for (int e = threadIdx.x; e < BK * TILE; e += THREADS) {{
            int {i} = start + e / TILE;
            int {col} = first_col + e % TILE;
            b_tile[e / TILE][e % TILE] = {i} < {k} && {col} < {n} ? {right} : {type}(0.0f);
        }}
        __syncthreads();
        for (int e = 0; e < BK; e += SIDE) {{
            wmma::fragment<wmma::matrix_a, SIDE, SIDE, SIDE, {type}, wmma::row_major> a_part[2];
            wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, {type}, wmma::row_major> b_part[2];
            for (int r = 0; r < 2; ++r) {{
                wmma::load_matrix_sync(a_part[r], &a_tile[warp_row + r * SIDE][e], BK + PAD);
                wmma::load_matrix_sync(b_part[r], &b_tile[e][warp_col + r * SIDE], TILE + PAD);
            }}
            for (int r = 0; r < 2; ++r)
                for (int s = 0; s < 2; ++s) wmma::mma_sync(sums[r][s], a_part[r], b_part[s], sums[r][s]);
        }}
        __syncthreads();
    }}
    for (int r = 0; r < 2; ++r)
        for (int s = 0; s < 2; ++s)
            wmma::store_matrix_sync(
                &c_tile[warp_row + r * SIDE][warp_col + s * SIDE], sums[r][s], TILE + 4, wmma::mem_row_major);
    __syncthreads();
    for (int e = threadIdx.x; e < TILE * TILE; e += THREADS) {{
        int {row} = first_row + e / TILE;
        int {col} = first_col + e % TILE;
        float {sum} = c_tile[e / TILE][e % TILE];
        if ({condition}) {{ {tail} }}
    }}"""
_LOCALS = {"TILE", "BK", "SIDE", "PAD", "THREADS", "first_row", "first_col", "sums", "e", "r", "s", "start"}


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    c = contraction_of(kernel)
    if c is None or c.left.parameter.type != c.right.parameter.type or c.left.parameter.type not in _TYPES:
        return
    rows, cols = c.extent(c.row), c.extent(c.col)
    if rows is None or cols is None or kernel.names & _LOCALS:
        return
    grid = [f"cdiv({cols}, {_TILE})", f"cdiv({rows}, {_TILE})", *kernel.unit.launch["grid"][2:]]
    launch = {"launch.grid": grid, "launch.block": [_THREADS]}
    yield Rewrite("wmma", "#include <mma.h>\n" + c.rewritten(_BODY.format(**_parts(c))), launch)


def _parts(c: Contraction) -> dict[str, str]:
    bounds = {"row": c.row.name, "m": c.row.bound, "col": c.col.name, "n": c.col.bound, "i": c.var, "k": c.stop}
    loads = {"left": c.left.load, "right": c.right.load, "type": c.left.parameter.type}
    return {**bounds, **loads, "sum": c.sum, "condition": c.condition, "tail": c.tail_text}


RULE = CudaRule(
    "tensor-cores",
    frozenset({"fma", "shared", "l1", "issue"}),
    "Tensor cores do a product of 16 x 16 x 16 in one instruction of a warp.",
    _find,
)
