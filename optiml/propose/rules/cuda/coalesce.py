"""Swap the roles of x and y, so that consecutive threads of a warp go along the other axis.

Precondition: a two-dimensional block and grid, and no intrinsic that depends on which threads make up a warp. Both
launch extents are swapped too: every thread does what another one did before, in another warp.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(float* x, int n) {
...     x[(blockIdx.x * 32 + threadIdx.x) * n + threadIdx.y] = 1.0f;
... }''', "out:x n", launch_block=[32, 8], launch_grid=["cdiv(N, 32)", 1])
__global__ void f(float* x, int n) {
    x[(blockIdx.y * 32 + threadIdx.y) * n + threadIdx.x] = 1.0f;
}
// launch.block = ['8', '32']
// launch.grid = ['1', 'cdiv(N, 32)']
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_OTHER = {f"{v}.{a}": f"{v}.{b}" for v in ("threadIdx", "blockIdx", "blockDim", "gridDim") for a, b in ("xy", "yx")}
_OF_WARPS = ("warpSize", "cooperative_groups", "wmma")


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    launch, names = kernel.unit.launch, kernel.source.names(kernel.source.root)
    is_flat = len(launch.get("block", ())) != 2 or len(launch.get("grid", ())) != 2
    if is_flat or any(name.startswith(("__shfl", "__ballot", "__match", *_OF_WARPS)) for name in names):
        return
    source = kernel.source
    fields = [n for n in walk(source.root, "field_expression") if source.of(n) in _OTHER]
    swapped = {key: _swapped(kernel.unit.extents(key)) for key in ("block", "grid")}
    if fields:
        text = source.replaced(*((n, _OTHER[source.of(n)]) for n in fields))
        yield Rewrite("xy", text, {f"launch.{key}": value for key, value in swapped.items()})


def _swapped(extents: list[str]) -> list[str]:
    x, y, _ = extents
    return [y, x]


RULE = CudaRule(
    "coalesce",
    frozenset({"l1", "l2", "dram", "latency"}),
    "Consecutive threads shall touch consecutive addresses: x and y change places.",
    _find,
)
