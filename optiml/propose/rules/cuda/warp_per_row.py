"""Give each row that a thread works on to a warp: lanes take neighbouring elements, and merge sums by shuffles.

Precondition: a kernel of rows (see `rows`), in blocks of whole warps. What is written outside of the loops is written
by the first lane. The grid has 32 times as many blocks.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* a, const float* x, float* y, int rows, int cols) {
...     int row = blockIdx.x * blockDim.x + threadIdx.x;
...     if (row >= rows) return;
...     float sum = 0.0f;
...     for (int i = 0; i < cols; ++i) sum += a[row * cols + i] * x[i];
...     y[row] = sum;
... }''', "in:a in:x out:y rows cols")
__global__ void f(const float* a, const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += a[row * cols + i] * x[i];
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0) y[row] = sum;
}
// launch.grid = ['32 * (cdiv(N, 256))']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import declared
from optiml.propose.rules.cuda.rows import rows_of, shared_among
from optiml.propose.rules.rewrite import Rewrite

_LANES = 32


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    rows, block = rows_of(kernel), kernel.unit.block()
    if rows is None or block is None or block[0] % _LANES:
        return
    index, lane, d = declared(kernel.source, rows.declaration), kernel.fresh("lane"), kernel.fresh("d")
    assert index is not None, "found by its declaration"
    first = f"int {index[0]} = ({index[1]}) / {_LANES};\n    int {lane} = threadIdx.x % {_LANES};"
    changes = shared_among(rows, lane, _LANES, lambda reduction: f"\n    {reduction.shuffled(d)}")
    place = rows.declaration.start_byte, rows.declaration.end_byte
    text = kernel.source.spliced((*place, first), *changes)
    yield Rewrite(index[0], text, {"launch.grid": [f"{_LANES} * ({kernel.unit.extents('grid')[0]})"]})


RULE = CudaRule(
    "warp-per-row",
    frozenset({"l1", "l2", "dram", "latency"}),
    "The lanes of a warp go along a row together: their loads fall into the same lines.",
    _find,
)
