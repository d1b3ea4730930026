"""Give each row that a thread works on to a block: threads take neighbouring elements, and merge sums over the block.

Precondition: a kernel of rows (see `rows`) whose loops reduce into variables of one type. What is written outside of
the loops is written by the first thread. The grid has a block for each thread of before.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int rows, int cols) {
...     int row = blockIdx.x * blockDim.x + threadIdx.x;
...     if (row >= rows) return;
...     float sum = 0.0f;
...     for (int i = 0; i < cols; ++i) sum += x[row * cols + i];
...     y[row] = sum;
... }''', "in:x out:y rows cols")
__global__ void f(const float* x, float* y, int rows, int cols) {
    __shared__ float parts[8];
    int row = blockIdx.x;
    int lane = threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 256) sum += x[row * cols + i];
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    __syncthreads();
    if (lane % 32 == 0) parts[lane / 32] = sum;
    __syncthreads();
    sum = lane % 32 < 8 ? parts[lane % 32] : 0;
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0) y[row] = sum;
}
// launch.grid = ['256 * (cdiv(N, 256))']
// launch.block = [256]
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.rows import Reduction, rows_of, shared_among
from optiml.propose.rules.rewrite import Rewrite

_THREADS = (256, 128, 512)
_MERGE = """
    {shuffled}
    __syncthreads();
    if ({lane} % 32 == 0) {parts}[{lane} / 32] = {name};
    __syncthreads();
    {name} = {lane} % 32 < {warps} ? {parts}[{lane} % 32] : {neutral};
    {shuffled}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    rows, block = rows_of(kernel), kernel.unit.block()
    types = {r.type for loop in rows.loops for r in loop.reductions} if rows is not None else set()
    if rows is None or block is None or len(types) > 1:
        return
    names = {name: kernel.fresh(name) for name in ("lane", "parts", "d")}
    for threads in _THREADS:
        warps = threads // 32
        shared = "".join(f"__shared__ {kind} {names['parts']}[{warps}];\n    " for kind in types)
        first = f"{shared}int {rows.index} = blockIdx.x;\n    int {names['lane']} = threadIdx.x;"
        changes = shared_among(rows, names["lane"], threads, partial(_merge, names=names, warps=warps))
        place = rows.declaration.start_byte, rows.declaration.end_byte
        grid = f"{block[0]} * ({kernel.unit.extents('grid')[0]})"
        text = kernel.source.spliced((*place, first), *changes)
        yield Rewrite(f"{threads}", text, {"launch.grid": [grid], "launch.block": [threads]})


def _merge(reduction: Reduction, names: dict[str, str], warps: int) -> str:
    rest = {"name": reduction.name, "neutral": reduction.neutral, "warps": warps}
    return _MERGE.format(shuffled=reduction.shuffled(names["d"]), **rest, **names)


RULE = CudaRule(
    "block-per-row",
    frozenset({"l1", "l2", "dram", "latency"}),
    "The threads of a block go along a row together: few rows are in work at once, so that they stay in the caches.",
    _find,
)
