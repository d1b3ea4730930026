"""Let each thread compute a tile of a matrix product in registers, so that it uses what it reads several times.

Precondition: a contraction (see `contraction`), with or without square tiles in shared memory, in fp32, whose bounds
are scalar arguments. The block becomes one-dimensional, the grid has a block for each tile of BM x BN outputs; what
lies beyond the matrices is 0, so that any size is right.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* a, const float* b, float* c, int m, int n, int k) {
...     int row = blockIdx.y * 16 + threadIdx.y;
...     int col = blockIdx.x * 16 + threadIdx.x;
...     if (row < m && col < n) {
...         float sum = 0.0f;
...         for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + col];
...         c[row * n + col] = sum;
...     }
... }''', "in:a in:b out:c m n k", launch_block=[16, 16])
__global__ void f(const float* a, const float* b, float* c, int m, int n, int k) {
    constexpr int BM = 128, BN = 128, BK = 8, TM = 8, TN = 8, THREADS = 256;
    __shared__ __align__(16) float a_tile[BK][BM];
    __shared__ __align__(16) float b_tile[BK][BN];
    int thread = threadIdx.x;
    int first_row = blockIdx.y * BM;
    int first_col = blockIdx.x * BN;
    int my_row = thread / (BN / TN) * TM;
    int my_col = thread % (BN / TN) * TN;
    float sums[TM][TN] = {};
    for (int start = 0; start < k; start += BK) {
        for (int e = thread; e < BM * BK; e += THREADS) {
            int row = first_row + e / BK;
            int i = start + e % BK;
            a_tile[e % BK][e / BK] = row < m && i < k ? a[row * k + i] : 0.0f;
        }
        for (int e = thread; e < BK * BN; e += THREADS) {
            int i = start + e / BN;
            int col = first_col + e % BN;
            b_tile[e / BN][e % BN] = i < k && col < n ? b[i * n + col] : 0.0f;
        }
        __syncthreads();
        for (int i = 0; i < BK; ++i) {
            float a_part[TM], b_part[TN];
            for (int r = 0; r < TM; ++r) a_part[r] = a_tile[i][my_row + r];
            for (int s = 0; s < TN; ++s) b_part[s] = b_tile[i][my_col + s];
            for (int r = 0; r < TM; ++r)
                for (int s = 0; s < TN; ++s) sums[r][s] += a_part[r] * b_part[s];
        }
        __syncthreads();
    }
    for (int r = 0; r < TM; ++r) {
        for (int s = 0; s < TN; ++s) {
            int row = first_row + my_row + r;
            int col = first_col + my_col + s;
            float sum = sums[r][s];
            if (row < m && col < n) { c[row * n + col] = sum; }
        }
    }
}
// launch.block = [256]
// launch.grid = ['cdiv(N, 128)', 'cdiv(N, 128)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.contraction import Contraction, contraction_of, tiled_contraction_of
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

# BM, BN, BK, TM, TN.
_TILES = ((128, 128, 8, 8, 8), (64, 64, 16, 4, 4), (128, 128, 16, 8, 8), (128, 64, 16, 8, 4), (32, 32, 32, 2, 2))
_LOCALS = (
    "BM", "BN", "BK", "TM", "TN", "THREADS", "thread", "first_row", "first_col", "my_row", "my_col", "sums", "start",
    "e", "r", "s", "a_tile", "b_tile", "a_part", "b_part",
)  # fmt: skip
_BODY = """\
constexpr int {BM} = {bm}, {BN} = {bn}, {BK} = {bk}, {TM} = {tm}, {TN} = {tn}, {THREADS} = {threads};
    __shared__ __align__(16) float {a_tile}[{BK}][{BM}];
    __shared__ __align__(16) float {b_tile}[{BK}][{BN}];
    int {thread} = threadIdx.x;
    int {first_row} = blockIdx.y * {BM};
    int {first_col} = blockIdx.x * {BN};
    int {my_row} = {thread} / ({BN} / {TN}) * {TM};
    int {my_col} = {thread} % ({BN} / {TN}) * {TN};
    float {sums}[{TM}][{TN}] = {{}};
    for (int {start} = 0; {start} < {k}; {start} += {BK}) {{
        for (int {e} = {thread}; {e} < {BM} * {BK}; {e} += {THREADS}) {{
            int {row} = {first_row} + {e} / {BK};
            int {i} = {start} + {e} % {BK};
            {a_tile}[{e} % {BK}][{e} / {BK}] = {row} < {m} && {i} < {k} ? {left} : 0.0f;
        }}
        for (int {e} = {thread}; {e} < {BK} * {BN}; {e} += {THREADS}) {{
            int {i} = {start} + {e} / {BN};
            int {col} = {first_col} + {e} % {BN};
            {b_tile}[{e} / {BN}][{e} % {BN}] = {i} < {k} && {col} < {n} ? {right} : 0.0f;
        }}
        __syncthreads();
        for (int {i} = 0; {i} < {BK}; ++{i}) {{
            float {a_part}[{TM}], {b_part}[{TN}];
            for (int {r} = 0; {r} < {TM}; ++{r}) {a_part}[{r}] = {a_tile}[{i}][{my_row} + {r}];
            for (int {s} = 0; {s} < {TN}; ++{s}) {b_part}[{s}] = {b_tile}[{i}][{my_col} + {s}];
            for (int {r} = 0; {r} < {TM}; ++{r})
                for (int {s} = 0; {s} < {TN}; ++{s}) {sums}[{r}][{s}] += {a_part}[{r}] * {b_part}[{s}];
        }}
        __syncthreads();
    }}
    for (int {r} = 0; {r} < {TM}; ++{r}) {{
        for (int {s} = 0; {s} < {TN}; ++{s}) {{
            int {row} = {first_row} + {my_row} + {r};
            int {col} = {first_col} + {my_col} + {s};
            float {sum} = {sums}[{r}][{s}];
            if ({condition}) {{ {tail} }}
        }}
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    c = contraction_of(kernel) or tiled_contraction_of(kernel)
    if c is None or {c.left.parameter.type, c.right.parameter.type} != {"float"}:
        return
    rows, cols = c.extent(c.row), c.extent(c.col)
    if rows is None or cols is None:
        return
    for bm, bn, bk, tm, tn in _TILES:
        sizes = {"bm": bm, "bn": bn, "bk": bk, "tm": tm, "tn": tn, "threads": bm * bn // (tm * tn)}
        grid = [f"cdiv({cols}, {bn})", f"cdiv({rows}, {bm})", *kernel.unit.launch["grid"][2:]]
        launch = {"launch.grid": grid, "launch.block": [sizes["threads"]]}
        yield Rewrite(f"{bm}x{bn}x{bk}/{tm}x{tn}", c.rewritten(_BODY.format(**_names(c), **sizes)), launch)


def _names(c: Contraction) -> dict[str, str]:
    taken = {c.row.name, c.col.name, c.sum, c.var, *(p.name for p in c.kernel.parameters)}
    local = {name: name if name not in taken else f"{name}_2" for name in _LOCALS}
    bounds = {"row": c.row.name, "m": c.row.bound, "col": c.col.name, "n": c.col.bound, "i": c.var, "k": c.stop}
    rest = {"left": c.left.text, "right": c.right.text, "sum": c.sum, "condition": c.condition, "tail": c.tail_text}
    return {**local, **bounds, **rest}


RULE = CudaRule(
    "register-tiling",
    frozenset({"shared", "issue", "fma", "l1"}),
    "A thread that computes a tile of outputs uses each value that it reads from shared memory several times.",
    _find,
)
