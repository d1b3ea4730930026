"""Add the upper half of the values to the lower half, instead of neighbours: whole warps work or rest.

Precondition: a tree of sums in shared memory (see `reductions`) over the block, whose size is a power of two.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y) {
...     __shared__ float s[256];
...     int t = threadIdx.x;
...     s[t] = x[t];
...     __syncthreads();
...     for (int d = 1; d < blockDim.x; d *= 2) {
...         if (t % (2 * d) == 0) s[t] += s[t + d];
...         __syncthreads();
...     }
...     if (t == 0) y[0] = s[0];
... }''', "in:x out:y", launch_block=[256])
__global__ void f(const float* x, float* y) {
    __shared__ float s[256];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
        if (t < d) s[t] += s[t + d];
        __syncthreads();
    }
    if (t == 0) y[0] = s[0];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.reductions import Tree, trees
from optiml.propose.rules.rewrite import Rewrite

_LOOP = """\
for (int {d} = {block} / 2; {d} > 0; {d} /= 2) {{
        if ({t} < {d}) {update};
        __syncthreads();
    }}"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[0] & (block[0] - 1) or block[1:] != (1, 1):
        return
    changes = [(tree.node, _descending(tree)) for tree in trees(kernel) if not tree.is_sequential]
    if changes:
        yield Rewrite(f"{len(changes)}", kernel.source.replaced(*changes))


def _descending(tree: Tree) -> str:
    s, t, d = tree.array, tree.thread, tree.distance
    return _LOOP.format(d=d, block=tree.block, t=t, update=tree.update(f"{s}[{t}]", f"{s}[{t} + {d}]"))


RULE = CudaRule(
    "sequential-reduction",
    frozenset({"issue", "shared", "latency", "alu"}),
    "The upper half is added to the lower: threads at work are neighbours, so warps do not diverge and banks differ.",
    _find,
)
