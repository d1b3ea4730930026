"""Load tiles through tensor descriptors instead of pointers: TMA computes the addresses and fills with zeros.

Precondition: `ptrs = x_ptr + rows[:, None] * stride + cols[None, :]` (rows perhaps converted to int64) on a matrix
argument whose rows are multiples of 16 bytes at all sizes; rows and cols are `base + tl.arange(0, EXTENT)` or
`tl.arange(0, EXTENT)`; one loop `for start in tl.range(0, bound, STEP)`, in which ptrs is only loaded (with 0 beyond
the bounds, or no mask) and moved by STEP along one axis.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... @triton.jit
... def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
...     offs = tl.arange(0, BLOCK)
...     ptrs = x_ptr + offs[:, None] * n + offs[None, :]
...     acc = tl.zeros([BLOCK, BLOCK], tl.float32)
...     for start in tl.range(0, n, BLOCK):
...         x = tl.load(ptrs, mask=start + offs[None, :] < n, other=0.0)
...         acc += x
...         ptrs += BLOCK
...     tl.store(y_ptr, tl.sum(acc))
... ''', "in:x_ptr::N,N out:y_ptr n", language="triton", constants_BLOCK=32)
@triton.jit
def f(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    ptrs = tl.make_tensor_descriptor(x_ptr, [n, n], strides=[n, 1], block_shape=[BLOCK, BLOCK])
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in tl.range(0, n, BLOCK):
        x = ptrs.load([0, start])
        acc += x
        pass
    tl.store(y_ptr, tl.sum(acc))
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ir.argument import DTYPES
from ir.expression import Expression
from ir.types import ELEMENT_BITS
from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_TILE = re.compile(
    r"(?P<x>\w+) \+ (?P<rows>\w+)\[:, None\](?:\.to\(tl\.int64\))? \* (?P<stride>\w+) \+ (?P<cols>\w+)\[None, :\]"
)
_ARANGE = re.compile(r"(?:(?P<base>.+) \+ )?tl\.arange\(0, (?P<extent>\w+)\)")
_RANK = 2
# Strides of a tensor map are multiples of this. Source: CUDA driver API, cuTensorMapEncodeTiled.
_ROW_BYTES = 16


@dataclass(frozen=True)
class _Tile:
    """A pointer tile: where it is made, what it goes over, and the axis (0 rows, 1 columns) along which it moves."""

    name: str
    made: ast.Assign
    match: re.Match[str]
    shape: tuple[str, str]
    origin: tuple[str, str]
    extents: tuple[str, str]
    move: ast.AugAssign
    axis: int


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    loops = kernel.loops()
    if len(loops) != 1 or not isinstance(loops[0].target, ast.Name):
        return
    found = [t for t in (_tile(kernel, node, loops[0]) for node in kernel.body) if t is not None]
    changes = [c for tile in found for c in _changes(tile, loops[0])]
    if found:
        yield Rewrite(",".join(t.name for t in found), kernel.replaced(*changes))


def _changes(tile: _Tile, loop: ast.For) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    shape, extents = (f"[{', '.join(pair)}]" for pair in (tile.shape, tile.extents))
    array, stride = tile.match["x"], tile.match["stride"]
    make = f"tl.make_tensor_descriptor({array}, {shape}, strides=[{stride}, 1], block_shape={extents})"
    yield tile.made, f"{tile.name} = {make}"
    yield tile.move, "pass"
    place = list(tile.origin)
    start = ast.unparse(loop.target)
    place[tile.axis] = start if place[tile.axis] == "0" else f"{place[tile.axis]} + {start}"
    for call in _loads(loop, tile.name):
        yield call, f"{tile.name}.load([{', '.join(place)}])"


def _tile(kernel: TritonKernel, node: ast.stmt, loop: ast.For) -> _Tile | None:
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return None
    name, match = node.targets[0].id, _TILE.fullmatch(ast.unparse(node.value))
    shape = _shape(kernel, match["x"]) if match is not None else None
    if match is None or shape is None:
        return None
    ranges = [_range(kernel, match[axis]) for axis in ("rows", "cols")]
    moves = [n for n in loop.body if isinstance(n, ast.AugAssign) and ast.unparse(n.target) == name]
    if None in ranges or len(moves) != 1 or not _is_only_loaded(kernel, name, loop):
        return None
    axis = _axis(moves[0], loop, match["stride"])
    (row, rows), (col, cols) = (r for r in ranges if r is not None)
    return _Tile(name, node, match, shape, (row, col), (rows, cols), moves[0], axis) if axis is not None else None


def _shape(kernel: TritonKernel, array: str) -> tuple[str, str] | None:
    """The extents of a matrix argument in the kernel's names."""
    argument = next((a for a in kernel.unit.arguments if a.get("parameter", a["name"]) == array), {})
    extents = [kernel.in_triton(str(e)) for e in argument.get("shape", ())]
    if len(extents) != _RANK or extents[0] is None or extents[1] is None or not _is_aligned(kernel, argument):
        return None
    return extents[0], extents[1]


def _is_aligned(kernel: TritonKernel, argument: Mapping[str, Any]) -> bool:
    """Whether rows are whole multiples of 16 bytes at all sizes of the task, as TMA demands."""
    row, bits = Expression.parse(str(argument["shape"][-1])), ELEMENT_BITS[DTYPES[argument["dtype"]]]
    task = kernel.unit.task
    sizes = [task.values(s) for rows in task.sizes.values() for s in rows]
    return all(row.evaluate(values) * bits % (8 * _ROW_BYTES) == 0 for values in sizes)


def _range(kernel: TritonKernel, name: str) -> tuple[str, str] | None:
    """(base, extent) of a variable that is `base + tl.arange(0, extent)`."""
    for node in kernel.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            match = _ARANGE.fullmatch(ast.unparse(node.value))
            return (match["base"] or "0", match["extent"]) if match is not None else None
    return None


def _axis(move: ast.AugAssign, loop: ast.For, stride: str) -> int | None:
    assert isinstance(loop.iter, ast.Call), "a loop over a range"
    step, distance = ast.unparse(loop.iter.args[-1]), ast.unparse(move.value)
    return {step: 1, f"{step} * {stride}": 0, f"{stride} * {step}": 0}.get(distance)


def _loads(loop: ast.For, name: str) -> list[ast.Call]:
    calls = [n for n in ast.walk(loop) if isinstance(n, ast.Call) and ast.unparse(n.func) == "tl.load"]
    return [c for c in calls if ast.unparse(c.args[0]) == name and _is_zero_filled(c)]


def _is_zero_filled(call: ast.Call) -> bool:
    other = {k.arg: ast.unparse(k.value) for k in call.keywords}
    return set(other) <= {"mask", "other"} and other.get("other", "0.0") in ("0.0", "0")


def _is_only_loaded(kernel: TritonKernel, name: str, loop: ast.For) -> bool:
    """Made once, moved once, and else the address of loads in the loop."""
    uses = sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(kernel.function))
    return uses == _RANK + len(_loads(loop, name)) and uses > _RANK


RULE = TritonRule(
    "descriptors",
    frozenset({"issue", "alu", "latency", "l1"}),
    "Tensor descriptors leave addresses and bounds to the hardware, and tiles need no registers on their way.",
    _find,
)
