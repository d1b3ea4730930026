"""Launch fewer blocks, each of which does the work of several: starting blocks costs time, and the last wave is uneven.

Precondition: a one-dimensional grid whose size the kernel's scalars tell, no early return, and no use of the grid's
size. The body stands in a loop over the numbers of blocks; a barrier separates the steps where there is shared
memory.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] = 2.0f * x[i];
... }''', "in:x out:y N")
__global__ void f(const float* x, float* y, int n) {
    for (int block = blockIdx.x; block < ((n + 256 - 1) / 256); block += gridDim.x) {
    int i = block * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
    }
}
// launch.grid = ['min(cdiv(N, 256), 1024)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.expressions import in_cpp
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

# Blocks for a few waves on the largest GPUs of today (148 SMs), fewer and more; small blocks need many.
_BLOCKS = (1024, 4096, 512, 2048)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    grid = kernel.unit.extents("grid")
    count = in_cpp(kernel, grid[0])
    if count is None or grid[1:] != ["1", "1"] or kernel.has("gridDim.x", "gridDim"):
        return
    if any(walk(kernel.body, "return_statement")) or not kernel.has("blockIdx.x"):
        return
    source, body, block = kernel.source, kernel.body, kernel.fresh("block")
    has_shared = any("__shared__" in source.of(n) for n in walk(kernel.source.root, "declaration"))
    end = "\n    __syncthreads();" if has_shared else ""
    start = f"\n    for (int {block} = blockIdx.x; {block} < {count}; {block} += gridDim.x) {{"
    fields = [n for n in walk(body, "field_expression") if source.of(n) == "blockIdx.x"]
    first, last = body.start_byte + 1, body.end_byte - 1
    uses = ((n.start_byte, n.end_byte, block) for n in fields)
    text = source.spliced((first, first, start), *uses, (last, last, f"{end}\n    }}\n"))
    for blocks in _BLOCKS:
        yield Rewrite(f"{blocks}", text, {"launch.grid": [f"min({grid[0]}, {blocks})"]})


RULE = CudaRule(
    "persistent-blocks",
    frozenset({"launch", "latency", "issue"}),
    "A fixed number of blocks goes through all the work: fewer starts, and constants are computed once.",
    _find,
)
