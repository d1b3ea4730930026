"""Give rows and columns an axis of the grid each, in place of one number that is divided into them.

Precondition: a one-dimensional kernel with `i = blockIdx.x * blockDim.x + threadIdx.x`, all of whose work is done
`if (i < height * width)`, with `row = i / width` and `col = i % width` declared there; width is a scalar argument, and
so is height, or their product.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int rows, int cols) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < rows * cols) {
...         int r = i / cols;
...         int c = i % cols;
...         y[c * rows + r] = x[i];
...     }
... }''', "in:x out:y rows cols")
__global__ void f(const float* x, float* y, int rows, int cols) {
    int r = blockIdx.y * blockDim.y + threadIdx.y; int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (r < rows && c < cols) {
        y[c * rows + r] = x[r * cols + c];
    }
}
// launch.block = [32, 8]
// launch.grid = ['cdiv(N, 32)', 'cdiv(N, 8)']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import named, walk
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import GLOBAL_INDEX, declared, statements
from optiml.propose.rules.rewrite import Rewrite

_BLOCKS = ((32, 8), (16, 16), (32, 32))
_AXES = "int {row} = blockIdx.y * blockDim.y + threadIdx.y; int {col} = blockIdx.x * blockDim.x + threadIdx.x;"


@dataclass(frozen=True)
class _Split:
    """The number `name` with its row and column, bounds as C++ and as expressions of the task, and where all stands."""

    name: str
    row: str
    col: str
    bounds: tuple[str, str]
    extents: tuple[str, str]
    declarations: tuple[Node, Node, Node] = field(repr=False)
    condition: Node = field(repr=False)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    split = _split(kernel)
    if split is None or kernel.has("__syncthreads", "gridDim.x"):
        return
    source, (first, row, col) = kernel.source, split.declarations
    axes = _AXES.format(row=split.row, col=split.col)
    guard = f"({split.row} < {split.bounds[0]} && {split.col} < {split.bounds[1]})"
    changes = [(first, axes), (row, ""), (col, ""), (split.condition, guard)]
    covered = [(n.start_byte, n.end_byte) for n, _ in changes]
    for use in walk(kernel.body, "identifier"):
        is_covered = any(start <= use.start_byte < end for start, end in covered)
        if source.of(use) == split.name and not is_covered:
            is_whole = use.parent is not None and use.parent.type == "subscript_argument_list"
            place = f"{split.row} * {split.bounds[1]} + {split.col}"
            changes.append((use, place if is_whole else f"({place})"))
    text = source.replaced(*changes)
    for width, height in _BLOCKS:
        grid = [f"cdiv({split.extents[1]}, {width})", f"cdiv({split.extents[0]}, {height})"]
        yield Rewrite(f"{width}x{height}", text, {"launch.block": [width, height], "launch.grid": grid})


def _split(kernel: CudaKernel) -> _Split | None:
    source, nodes, block = kernel.source, statements(kernel.body), kernel.unit.block()
    last = nodes[-1] if nodes else kernel.body
    condition = last.child_by_field_name("condition") if last.type == "if_statement" else None
    test = named(condition)[0] if condition is not None else None
    if block is None or block[1:] != (1, 1) or test is None or test.type != "binary_expression":
        return None
    name, operator, bound = (source.of(c) for c in test.children)
    own = [n for n in nodes if (d := declared(source, n)) and (d[0], d[1].replace(" ", "")) == (name, GLOBAL_INDEX)]
    quotient, rest = _part(kernel, name, "/"), _part(kernel, name, "%")
    if condition is None or operator != "<" or not own or quotient is None or rest is None or quotient[1] != rest[1]:
        return None
    sizes = _bounds(kernel, bound, quotient[1])
    if sizes is None:
        return None
    declarations = (own[0], quotient[2], rest[2])
    return _Split(name, quotient[0], rest[0], *sizes, declarations, condition)


def _part(kernel: CudaKernel, name: str, operator: str) -> tuple[str, str, Node] | None:
    """(variable, width, declaration) of `variable = name / width`, or of the rest."""
    for node in walk(kernel.body, "declaration"):
        found = declared(kernel.source, node)
        match = re.fullmatch(rf"{name}\s*{operator}\s*(\w+)", found[1]) if found is not None else None
        if found is not None and match is not None:
            return found[0], match[1], node
    return None


def _bounds(kernel: CudaKernel, bound: str, width: str) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Bounds of row and column in C++, and in the task's sizes."""
    scalars = {p.name: str(p.argument["value"]) for p in kernel.parameters if p.argument.get("kind") == "scalar"}
    factors = [f.strip() for f in bound.strip("() ").split("*")]
    if width not in scalars:
        return None
    if len(factors) == 2 and width in factors and set(factors) <= scalars.keys():
        height = factors[1 - factors.index(width)]
        return (height, width), (scalars[height], scalars[width])
    if factors[0] in scalars and len(factors) == 1:
        return (f"{bound} / {width}", width), (f"({scalars[bound]}) // ({scalars[width]})", scalars[width])
    return None


RULE = CudaRule(
    "two-dimensional",
    frozenset({"alu", "issue", "latency", "l1", "l2", "dram"}),
    "Rows and columns of their own need no division, and tiles of both can then be kept in shared memory.",
    _find,
)
