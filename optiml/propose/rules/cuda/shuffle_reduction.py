"""Add up a block's values by warp shuffles: one access to shared memory for each warp, instead of a tree.

Precondition: a tree of sums in shared memory (see `reductions`), over a block of a known whole number of warps.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y) {
...     __shared__ float s[256];
...     int t = threadIdx.x;
...     s[t] = x[t];
...     __syncthreads();
...     for (int d = blockDim.x / 2; d > 0; d /= 2) {
...         if (t < d) s[t] += s[t + d];
...         __syncthreads();
...     }
...     if (t == 0) y[0] = s[0];
... }''', "in:x out:y", launch_block=[256])
__global__ void f(const float* x, float* y) {
    __shared__ float s[256];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    float part = s[t];
    for (int d = 16; d > 0; d /= 2) part += __shfl_down_sync(0xffffffffu, part, d);
    __syncthreads();
    if (t % 32 == 0) s[t / 32] = part;
    __syncthreads();
    if (t < 32) {
        part = t < 8 ? s[t] : 0.0f;
        for (int d = 16; d > 0; d /= 2) part += __shfl_down_sync(0xffffffffu, part, d);
        if (t == 0) s[0] = part;
    }
    __syncthreads();
    if (t == 0) y[0] = s[0];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.cuda.forms.variables import unused
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.reductions import Tree, trees
from optiml.propose.rules.rewrite import Rewrite

_WARP = 32
_MOST = 1024
_TREE = """\
{type} {part} = {s}[{t}];
    for (int {d} = 16; {d} > 0; {d} /= 2) {update};
    __syncthreads();
    if ({t} % 32 == 0) {s}[{t} / 32] = {part};
    __syncthreads();
    if ({t} < 32) {{
        {part} = {t} < {warps} ? {s}[{t}] : {neutral};
        for (int {d} = 16; {d} > 0; {d} /= 2) {update};
        if ({t} == 0) {s}[0] = {part};
    }}
    __syncthreads();"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[0] % _WARP or block[0] > _MOST or block[1:] != (1, 1):
        return
    taken, changes = set(kernel.names), []
    for tree in trees(kernel):
        part = unused("part", taken)
        taken.add(part)
        changes.append((tree.node, _shuffled(tree, part, block[0])))
    if changes:
        yield Rewrite(f"{len(changes)}", kernel.source.replaced(*changes))


def _shuffled(tree: Tree, part: str, block: int) -> str:
    names = {"s": tree.array, "t": tree.thread, "d": tree.distance, "part": part, "type": tree.type}
    update = tree.update(part, f"__shfl_down_sync(0xffffffffu, {part}, {tree.distance})")
    return _TREE.format(**names, neutral=tree.neutral, update=update, warps=block // _WARP)


RULE = CudaRule(
    "shuffle-reduction",
    frozenset({"barrier", "shared", "latency", "issue"}),
    "Warps add up in registers; shared memory carries one value for each warp, and two barriers replace one a step.",
    _find,
)
