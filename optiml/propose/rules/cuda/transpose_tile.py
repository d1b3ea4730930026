"""Move a transposition through a tile in shared memory, so that loads and stores both go along rows.

Precondition: one loop (or none) over rows of a block's square tile, whose only effect is a guarded copy
`y[col * rows + row] = x[row * cols + col]`, with both indices made of block, thread and loop variable. The tile's side
is the block's width, the rows of threads divide it; or it is 32 or 64, in blocks of 32 x 8, 64 x 8 or 32 x 16 threads,
where scalar arguments bound the indices.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int rows, int cols) {
...     int col = blockIdx.x * 32 + threadIdx.x;
...     for (int j = 0; j < 32; j += 8) {
...         int row = blockIdx.y * 32 + threadIdx.y + j;
...         if (row < rows && col < cols) y[col * rows + row] = x[row * cols + col];
...     }
... }''', "in:x out:y rows cols", launch_block=[32, 8])
__global__ void f(const float* x, float* y, int rows, int cols) {
    __shared__ float tile[32][32];
    for (int j = threadIdx.y; j < 32; j += 8) {
        int row = blockIdx.y * 32 + j;
        int col = blockIdx.x * 32 + threadIdx.x;
        if (row < rows && col < cols) tile[j][threadIdx.x] = x[row * cols + col];
    }
    __syncthreads();
    for (int j = threadIdx.y; j < 32; j += 8) {
        int row = blockIdx.y * 32 + threadIdx.x;
        int col = blockIdx.x * 32 + j;
        if (row < rows && col < cols) y[col * rows + row] = tile[threadIdx.x][j];
    }
}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import Loop, assignment, declared, loop_of, loops, statements, subscript
from optiml.propose.rules.rewrite import Rewrite

_WIDEST = 32
_SAME: Mapping[str, Any] = {}
# Width and height of the other blocks.
_BLOCKS = ((32, 8), (64, 8), (32, 16))
_BODY = """\
__shared__ {type} tile[{side}][{side}];
    for (int j = threadIdx.y; j < {side}; j += {stripe}) {{
        int {row} = blockIdx.y * {side} + j;
        int {col} = blockIdx.x * {side} + threadIdx.x;
        if ({guard}) tile[j][threadIdx.x] = {load};
    }}
    __syncthreads();
    for (int j = threadIdx.y; j < {side}; j += {stripe}) {{
        int {row} = blockIdx.y * {side} + threadIdx.x;
        int {col} = blockIdx.x * {side} + j;
        if ({guard}) {store} = tile[threadIdx.x][j];
    }}"""


@dataclass(frozen=True)
class _Copy:
    """The parts of the copy as texts; `row` goes along y of the grid, `col` along x."""

    row: str
    col: str
    guard: str
    load: str
    store: str
    type: str


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    block = kernel.unit.block()
    if block is None or block[0] > _WIDEST or block[0] % block[1] or kernel.has("tile", "j_tile", "__syncthreads"):
        return
    outer = next(loops(kernel.source, kernel.body), None)
    copy = _copy(kernel, outer, block)
    if copy is None:
        return
    if outer is not None or block[0] == block[1]:
        yield _tiled(kernel, copy, block[0], block[1])
    bounds = _bounds(kernel, copy)
    for width, height in _BLOCKS if bounds is not None else ():
        if (width, height) != block[:2] or outer is None:
            grid = [*(f"cdiv({bound}, {width})" for bound in bounds or ()), *kernel.unit.launch["grid"][2:]]
            yield _tiled(kernel, copy, width, height, {"launch.block": [width, height], "launch.grid": grid})


def _tiled(kernel: CudaKernel, copy: _Copy, side: int, stripe: int, launch: Mapping[str, Any] = _SAME) -> Rewrite:
    text = _BODY.format(side=side, stripe=stripe, **vars(copy))
    name = f"{side}x{stripe}" if launch else f"{side}"
    return Rewrite(name, kernel.source.replaced((kernel.body, f"{{\n    {text}\n}}")), launch)


def _bounds(kernel: CudaKernel, copy: _Copy) -> tuple[str, str] | None:
    """How far the indices along x and y go, as expressions of the task; None where no scalar arguments say it."""
    scalars = {p.name: str(p.argument["value"]) for p in kernel.parameters if p.argument.get("kind") == "scalar"}
    found = [re.search(rf"\b{name}\s*<\s*(\w+)", copy.guard) for name in (copy.col, copy.row)]
    texts = [scalars.get(match[1]) if match is not None else None for match in found]
    return (texts[0], texts[1]) if texts[0] is not None and texts[1] is not None else None


def _copy(kernel: CudaKernel, outer: Loop | None, block: tuple[int, int, int]) -> _Copy | None:
    source = kernel.source
    inside = statements(outer.body) if outer is not None else []
    flat = [n for n in statements(kernel.body) if outer is None or n != outer.node] + inside
    if outer is not None and not _covers(kernel, outer, block):
        return None
    found = [declared(source, n) for n in flat[:-1]]
    places = {d[0]: _axis(kernel, d[1], outer, block) for d in found if d is not None}
    axes = {axis: name for name, axis in places.items() if axis is not None}
    guard, copy = flat[-1].child_by_field_name("condition"), flat[-1].child_by_field_name("consequence")
    if None in found or set(axes) != {"x", "y"} or len(places) != len(axes) or guard is None or copy is None:
        return None
    store = assignment(source, statements(copy)[0]) if len(statements(copy)) == 1 else None
    if store is None or store[1] != "=" or not _is_transposed(kernel, store[0], store[2], axes):
        return None
    pointer = subscript(source, store[2])
    kind = kernel.pointers[pointer[0]].type if pointer is not None and pointer[0] in kernel.pointers else ""
    texts = (source.of(guard)[1:-1], source.of(store[2]), source.of(store[0]))
    return _Copy(axes["y"], axes["x"], *texts, kind) if kind else None


def _covers(kernel: CudaKernel, outer: Loop, block: tuple[int, int, int]) -> bool:
    given = [kernel.constant(t) for t in (outer.start, outer.stop, outer.step)]
    return given == [0, block[0], block[1]] and loop_of(kernel.source, outer.node) is not None


def _axis(kernel: CudaKernel, value: str, outer: Loop | None, block: tuple[int, int, int]) -> str | None:
    """x or y for `blockIdx.x * SIDE + threadIdx.x` and `blockIdx.y * SIDE + threadIdx.y + loop variable`."""
    text = value.replace(" ", "")
    match = re.fullmatch(r"blockIdx\.([xy])\*([\w.]+)\+threadIdx\.([xy])(?:\+(\w+))?", text)
    if match is None or match[1] != match[3]:
        return None
    extent = block["xy".index(match[1])] if match[2] == f"blockDim.{match[1]}" else kernel.constant(match[2])
    is_stepped = match[4] is not None and outer is not None and match[4] == outer.var
    wanted = block["xy".index(match[1])] if outer is None else block[0]
    is_right = extent == wanted and is_stepped == (match[1] == "y" and outer is not None)
    return match[1] if is_right and (match[4] is None or is_stepped) else None


def _is_transposed(kernel: CudaKernel, to: Node, value: Node, axes: dict[str, str]) -> bool:
    """Whether the load goes along x with stride 1 and the store along y."""
    places = [subscript(kernel.source, node) for node in (to, value)]
    if any(p is None or len(p[1]) != 1 for p in places):
        return False
    last = [re.split(r"\+", kernel.source.of(p[1][0]).replace(" ", ""))[-1] for p in places if p is not None]
    others = {kernel.source.of(n) for n in walk(value, "call_expression")}
    return last == [axes["y"], axes["x"]] and all(o.startswith("static_cast") for o in others)


RULE = CudaRule(
    "transpose-tile",
    frozenset({"l1", "l2", "dram"}),
    "Through a tile in shared memory, loads and stores both go along rows.",
    _find,
)
