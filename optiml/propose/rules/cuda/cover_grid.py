"""Launch a thread for each element, in place of fewer threads that stride through all of them.

Precondition: a one-dimensional kernel that is one loop `for (i = global index; i < bound; i += number of threads)`,
after declarations perhaps, with a scalar argument as the bound. The inverse of `grid_stride`: what is known of kernels
without a loop around them applies to the rest.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] = 2.0f * x[i];
... }''', "in:x out:y n", launch_grid=[64])
__global__ void f(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
}
// launch.grid = ['cdiv(N, 256)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import GLOBAL_INDEX, declared, loop_of, statements
from optiml.propose.rules.rewrite import Rewrite

_THREADS = ("gridDim.x*blockDim.x", "blockDim.x*gridDim.x")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source, nodes, block = kernel.source, statements(kernel.body), kernel.unit.block()
    loop = loop_of(source, nodes[-1]) if nodes else None
    known = dict(d for n in nodes[:-1] if (d := declared(source, n)))
    if loop is None or block is None or block[1:] != (1, 1) or len(known) != len(nodes) - 1:
        return
    start, step = (known.get(text, text).replace(" ", "") for text in (loop.start, loop.step))
    bounds = {p.name: str(p.argument["value"]) for p in kernel.parameters if p.argument.get("kind") == "scalar"}
    jumps = any(walk(loop.body, "continue_statement", "break_statement", "return_statement"))
    if start != GLOBAL_INDEX or step not in _THREADS or loop.stop not in bounds or jumps or kernel.has("__syncthreads"):
        return
    head = f"int {loop.var} = blockIdx.x * blockDim.x + threadIdx.x;\n    if ({loop.var} < {loop.stop}) "
    text = source.spliced((loop.node.start_byte, loop.body.start_byte, head))
    yield Rewrite(f"{block[0]}", text, {"launch.grid": [f"cdiv({bounds[loop.stop]}, {block[0]})"]})


RULE = CudaRule(
    "cover-grid",
    frozenset({"latency", "l1", "occupancy"}),
    "Threads of their own for all elements leave the order to the hardware, and the kernel simple.",
    _find,
)
