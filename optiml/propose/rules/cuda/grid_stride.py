"""Turn `if (i < n)` over a thread for each element into a loop over a fixed number of threads.

Precondition: a one-dimensional kernel that ends in `if (i < bound) ...`, i being the thread's index in the grid.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] = 2.0f * x[i];
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] = 2.0f * x[i];
}
// launch.grid = ['min(cdiv(N, 256), 1024)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import GLOBAL_INDEX, conjuncts, declared, statements
from optiml.propose.rules.rewrite import Rewrite

_BLOCKS = (1024, 512, 2048)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source, nodes, grid = kernel.source, statements(kernel.body), kernel.unit.extents("grid")
    if len(nodes) != 2 or nodes[1].type != "if_statement" or grid[1:] != ["1", "1"] or kernel.has("__syncthreads"):
        return
    index, condition = declared(source, nodes[0]), nodes[1].child_by_field_name("condition")
    then, other = (nodes[1].child_by_field_name(n) for n in ("consequence", "alternative"))
    if condition is None or then is None or other is not None:
        return
    if index is None or index[1].replace(" ", "") != GLOBAL_INDEX:
        return
    tests = conjuncts(source, condition)
    if len(tests) != 1 or tests[0].children[0].type != "identifier" or source.of(tests[0].children[1]) != "<":
        return
    if source.of(tests[0].children[0]) != index[0] or any(walk(then, "return_statement")):
        return
    i, bound = index[0], source.of(tests[0].children[2])
    step = "gridDim.x * blockDim.x"
    loop = f"for (int {i} = {index[1]}; {i} < {bound}; {i} += {step}) {source.of(then)}"
    for blocks in _BLOCKS:
        text = source.spliced((nodes[0].start_byte, nodes[1].end_byte, loop))
        yield Rewrite(f"{blocks}", text, {"launch.grid": [f"min({grid[0]}, {blocks})"]})


RULE = CudaRule(
    "grid-stride",
    frozenset({"launch", "latency", "issue"}),
    "A fixed number of threads strides through all elements; the loop can then be unrolled and vectorised.",
    _find,
)
