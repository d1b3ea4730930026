"""Launch blocks of another size.

Precondition: a one-dimensional block of a literal size that the kernel knows only as `blockDim.x` and that the grid
has as the divisor of a cdiv, or one given by a tunable constant that the grid or the template has too.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] = 2.0f * x[i];
... }''', "in:x out:y n")
__global__ void f(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
}
// launch.block = [128]
// launch.grid = ['cdiv(N, 128)']
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_SIZES = (128, 512, 64, 1024, 256)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    unit = kernel.unit
    block, grid = unit.extents("block"), unit.extents("grid")
    if block[1:] != ["1", "1"]:
        return
    if block[0] in unit.tunable and (block[0] in kernel.template.values() or block[0] in re.findall(r"\w+", grid[0])):
        now = unit.tunable[block[0]]
        yield from (Rewrite(f"{s}", kernel.source.text, {f"constants.{block[0]}": s}) for s in _SIZES if s != now)
        return
    divisor = re.compile(rf"(cdiv\(.*, ){block[0]}\)")
    uses = {kernel.source.of(n) for n in walk(kernel.function, "number_literal")}
    if not block[0].isdigit() or not divisor.search(grid[0]) or block[0] in uses or not kernel.has("blockDim.x"):
        return
    for size in _SIZES:
        if size != int(block[0]):
            grids = [divisor.sub(rf"\g<1>{size})", grid[0]), *grid[1:]]
            yield Rewrite(
                f"{size}",
                kernel.source.text,
                {"launch.block": [size], "launch.grid": grids[: len(unit.launch["grid"])]},
            )


RULE = CudaRule(
    "block-size",
    frozenset({"occupancy", "latency", "launch", "barrier"}),
    "Another block size fills the SMs differently and makes the last wave shorter or longer.",
    _find,
)
