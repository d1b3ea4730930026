"""Stage the operands of a matrix product in shared memory: each element is read once for a whole row of threads.

Precondition: a contraction (see `contraction`) whose columns go along x, in square blocks of at most 32 x 32 threads.
Elements beyond the matrices are 0, so that the sums are the same.

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
    int row = blockIdx.y * 16 + threadIdx.y;
    int col = blockIdx.x * 16 + threadIdx.x;
    __shared__ float a_tile[16][16];
    __shared__ float b_tile[16][16];
    int tx = threadIdx.x;
    int ty = threadIdx.y;
    float sum = 0.0f;
    for (int start = 0; start < k; start += 16) {
        a_tile[ty][tx] = row < m && start + tx < k ? a[row * k + (start + tx)] : 0.0f;
        b_tile[ty][tx] = start + ty < k && col < n ? b[(start + ty) * n + col] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 16; ++i) sum += a_tile[ty][i] * b_tile[i][tx];
        __syncthreads();
    }
    if (row < m && col < n) { c[row * n + col] = sum; }
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.contraction import contraction_of, rows_along_y, substituted
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_WIDEST = 32
_BODY = """\
__shared__ float {a}[{t}][{t}];
    __shared__ float {b}[{t}][{t}];
    int {tx} = threadIdx.x;
    int {ty} = threadIdx.y;
    float {sum} = 0.0f;
    for (int {start} = 0; {start} < {k}; {start} += {t}) {{
        {a}[{ty}][{tx}] = {row} < {m} && {start} + {tx} < {k} ? {left} : 0.0f;
        {b}[{ty}][{tx}] = {start} + {ty} < {k} && {col} < {n} ? {right} : 0.0f;
        __syncthreads();
        for (int {i} = 0; {i} < {t}; ++{i}) {sum} += {a}[{ty}][{i}] * {b}[{i}][{tx}];
        __syncthreads();
    }}
    if ({condition}) {{ {tail} }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block, c = kernel.unit.block(), contraction_of(kernel)
    if c is None or block is None or block[0] != block[1] or block[0] > _WIDEST or not rows_along_y(c):
        return
    names = {key: kernel.fresh(name) for key, name in (("tx", "tx"), ("ty", "ty"), ("start", "start"))}
    names |= {"a": kernel.fresh(f"{c.left.parameter.name}_tile"), "b": kernel.fresh(f"{c.right.parameter.name}_tile")}
    along_k = {"left": names["tx"], "right": names["ty"]}
    loads = {
        key: substituted(factor.text, {c.var: f"({names['start']} + {along_k[key]})"})
        for key, factor in (("left", c.left), ("right", c.right))
    }
    bounds = {"row": c.row.name, "m": c.row.bound, "col": c.col.name, "n": c.col.bound, "k": c.stop}
    rest = {"t": block[0], "i": c.var, "sum": c.sum, "condition": c.condition, "tail": c.tail_text}
    text = kernel.source.replaced((c.guard, _BODY.format(**names, **loads, **bounds, **rest)))
    yield Rewrite(f"{block[0]}", text)


RULE = CudaRule(
    "shared-tiling",
    frozenset({"l1", "l2", "dram", "latency"}),
    "A tile of each operand is read into shared memory once and used by all threads of the block.",
    _find,
)
