"""Go through the blocks of a two-dimensional grid in bands of a few rows, so that those at work share what they read.

Precondition: a two-dimensional grid whose kernel uses both numbers of its block and not the grid's size. Blocks start
in the order of x; in a band of G rows those of a column follow each other, so that G rows and few columns of the
operands are in use at once.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     y[blockIdx.y * n + blockIdx.x] = x[blockIdx.x * n + blockIdx.y];
... }''', "in:x out:y n", launch_grid=["N", "N"])
__global__ void f(const float* x, float* y, int n) {
    int band = 8 * gridDim.x;
    int number = blockIdx.y * gridDim.x + blockIdx.x;
    int first = number / band * 8;
    int height = min(8, static_cast<int>(gridDim.y) - first);
    int block_y = first + number % band % height;
    int block_x = number % band / height;
    y[block_y * n + block_x] = x[block_x * n + block_y];
}
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.rewrite import Rewrite

_HEIGHTS = (8, 16, 4)
_NAMES = ("band", "number", "first", "height", "block_y", "block_x")
_START = """
    int {band} = {rows} * gridDim.x;
    int {number} = blockIdx.y * gridDim.x + blockIdx.x;
    int {first} = {number} / {band} * {rows};
    int {height} = min({rows}, static_cast<int>(gridDim.y) - {first});
    int {block_y} = {first} + {number} % {band} % {height};
    int {block_x} = {number} % {band} / {height};"""


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    source, body, grid = kernel.source, kernel.body, kernel.unit.launch.get("grid", ())
    if len(grid) != 2 or kernel.has("gridDim.x", "gridDim.y", "gridDim"):
        return
    names = {name: kernel.fresh(name) for name in _NAMES}
    of = {"blockIdx.x": names["block_x"], "blockIdx.y": names["block_y"]}
    uses = [(n, of[source.of(n)]) for n in walk(body, "field_expression") if source.of(n) in of]
    if {new for _, new in uses} != set(of.values()):
        return
    place = body.start_byte + 1
    for rows in _HEIGHTS:
        start = (place, place, _START.format(rows=rows, **names))
        yield Rewrite(f"{rows}", source.spliced(start, *((n.start_byte, n.end_byte, new) for n, new in uses)))


RULE = CudaRule(
    "block-order",
    frozenset({"dram", "l2"}),
    "Blocks that run at once read fewer different rows and columns, which stay in the L2.",
    _find,
)
