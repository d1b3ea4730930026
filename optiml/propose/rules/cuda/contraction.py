"""Matrix products as they are first written: a thread for each output, and a loop that sums products of two loads.

    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < m && col < n) {
        float sum = 0.0f;
        for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + col];
        c[row * n + col] = sum;
    }

The factor that mentions `row` is the left one, that which mentions `col` the right one; none mentions both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.kernel import CudaKernel, Parameter
from optiml.propose.rules.cuda.loops import ZEROS, Loop, assignment, conjuncts, declared, loop_of, statements, subscript

_FACTORS = 2
_K = "$k"
_THREAD = re.compile(r"blockIdx\.([xy])\*(\w+|blockDim\.[xy])\+threadIdx\.([xy])")


@dataclass(frozen=True)
class Axis:
    """An output index: its variable, the axis of the grid it goes along, and the bound that guards it."""

    name: str
    axis: str
    bound: str
    node: Node = field(repr=False)


@dataclass(frozen=True)
class Factor:
    """A factor of the product: its text, with the load `array[index]` in it, and the parameter it loads from."""

    text: str
    load: str
    parameter: Parameter


@dataclass(frozen=True)
class Contraction:
    """The parts of the kernel: the sum over `var` up to `stop`, `guard` the whole `if`, `tail` what follows it."""

    kernel: CudaKernel
    row: Axis
    col: Axis
    sum: str
    var: str
    stop: str
    left: Factor
    right: Factor
    guard: Node = field(repr=False)
    tail: tuple[Node, ...] = field(repr=False)

    @property
    def condition(self) -> str:
        """What holds for a thread that has an output."""
        return f"{self.row.name} < {self.row.bound} && {self.col.name} < {self.col.bound}"

    @property
    def tail_text(self) -> str:
        """The statements after the loop."""
        return " ".join(self.kernel.source.of(n) for n in self.tail)

    def extent(self, axis: Axis) -> str | None:
        """The bound of an axis as an expression of the task, if it is a scalar argument."""
        return next(
            (
                str(p.argument["value"])
                for p in self.kernel.parameters
                if p.name == axis.bound and p.argument.get("kind") == "scalar"
            ),
            None,
        )

    def rewritten(self, body: str) -> str:
        """The kernel's text with another body."""
        return self.kernel.source.replaced((self.kernel.body, f"{{\n    {body}\n}}"))


def contraction_of(kernel: CudaKernel) -> Contraction | None:
    """The kernel as a contraction; None where it is none, or does anything more."""
    *before, last = statements(kernel.body) or [kernel.body]
    axes = _axes(kernel, before, last)
    inner = last.child_by_field_name("consequence")
    if axes is None or inner is None:
        return None
    first, *rest = _flat(inner)
    start = declared(kernel.source, first)
    loop = loop_of(kernel.source, rest[0]) if rest else None
    if start is None or loop is None or (loop.start, loop.step) != ("0", "1") or start[1] not in ZEROS:
        return None
    factors = _factors(kernel, loop, start[0], axes)
    if factors is None or any(True for n in rest[1:] for _ in walk(n, "return_statement")):
        return None
    return Contraction(kernel, *axes, start[0], loop.var, loop.stop, *factors, last, tuple(rest[1:]))


def tiled_contraction_of(kernel: CudaKernel) -> Contraction | None:
    """The contraction that a kernel with square tiles in shared memory (see `shared_tiling`) computes."""
    *before, last = statements(kernel.body) or [kernel.body]
    outer = loop_of(kernel.source, before[-1]) if before else None
    axes, inner = _axes(kernel, before[:2], last), last.child_by_field_name("consequence")
    if outer is None or axes is None or inner is None:
        return None
    fills = [f for f in (_fill(kernel, n, outer) for n in statements(outer.body)) if f is not None]
    sums = [x for x in map(lambda n: loop_of(kernel.source, n), statements(outer.body)) if x is not None]
    if len(fills) != _FACTORS or len(sums) != 1:
        return None
    update = assignment(kernel.source, statements(sums[0].body)[0])
    by_axis = {a.name: f for a in axes for f in fills if _mentions(f.text, a.name)}
    if update is None or len(by_axis) != _FACTORS:
        return None
    var, factors = sums[0].var, [by_axis[a.name] for a in axes]
    left, right = (replace(f, text=f.text.replace(_K, var), load=f.load.replace(_K, var)) for f in factors)
    total = kernel.source.of(update[0])
    return Contraction(kernel, *axes, total, var, outer.stop, left, right, last, tuple(_flat(inner)))


def _fill(kernel: CudaKernel, node: Node, outer: Loop) -> Factor | None:
    """The load of `tile[ty][tx] = inside ? load : 0`, with `_K` for its place along the sum."""
    store = assignment(kernel.source, node)
    if store is None or store[2].type != "conditional_expression":
        return None
    value = store[2].child_by_field_name("consequence")
    factor = _factor(kernel, value) if value is not None else None
    place = re.compile(rf"\(\s*{outer.var}\s*\+\s*\w+\s*\)")
    if factor is None or not place.search(factor.text):
        return None
    return Factor(place.sub(_K, factor.text), place.sub(_K, factor.load), factor.parameter)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _flat(node: Node) -> list[Node]:
    """Statements, those of blocks within blocks too: no name is declared twice in what rules see."""
    return [x for n in statements(node) for x in (_flat(n) if n.type == "compound_statement" and n != node else [n])]


def _axes(kernel: CudaKernel, before: list[Node], guard: Node) -> tuple[Axis, Axis] | None:
    """Exactly two indices, each guarded by `index < bound`, and nothing else before the guard."""
    if guard.type != "if_statement" or guard.child_by_field_name("alternative") is not None:
        return None
    source, condition = kernel.source, guard.child_by_field_name("condition")
    bounds = {}
    for part in conjuncts(source, condition) if condition is not None else ():
        if part.type != "binary_expression" or source.of(part.children[1]) != "<":
            return None
        bounds[source.of(part.children[0])] = source.of(part.children[2])
    found = []
    for node in before:
        match = declared(source, node)
        thread = _THREAD.fullmatch(match[1].replace(" ", "")) if match else None
        if match is None or thread is None or thread[1] != thread[3] or match[0] not in bounds:
            return None
        found.append(Axis(match[0], thread[1], bounds[match[0]], node))
    if len(found) != 2 or len(bounds) != 2 or found[0].axis == found[1].axis:
        return None
    return (found[1], found[0]) if _is_last(kernel, guard, found[0].name, found[1].name) else (found[0], found[1])


def _is_last(kernel: CudaKernel, guard: Node, name: str, other: str) -> bool:
    """Whether some index is `other * n + name`: then the first is the column."""
    for node in walk(guard, "subscript_expression"):
        place = subscript(kernel.source, node)
        text = kernel.source.of(place[1][-1]) if place is not None else ""
        if other in kernel.source.names(node) and re.search(rf"\+\s*{name}$", text):
            return True
    return False


def _factors(kernel: CudaKernel, loop: Loop, total: str, axes: tuple[Axis, Axis]) -> tuple[Factor, Factor] | None:
    """The factors of `sum += x * y`, that of the first axis first; a swapped pair is put in order."""
    source, body = kernel.source, statements(loop.body)
    update = assignment(source, body[0]) if len(body) == 1 else None
    if update is None or source.of(update[0]) != total or update[1] != "+=" or update[2].type != "binary_expression":
        return None
    if source.of(update[2].children[1]) != "*":
        return None
    by_axis = {}
    for node in (update[2].children[0], update[2].children[2]):
        used = [a.name for a in axes if a.name in source.names(node)]
        factor = _factor(kernel, node)
        if factor is None or len(used) != 1 or loop.var not in source.names(node):
            return None
        by_axis[used[0]] = factor
    return (by_axis[axes[0].name], by_axis[axes[1].name]) if len(by_axis) == 2 else None


def _factor(kernel: CudaKernel, node: Node) -> Factor | None:
    """A load from a parameter, perhaps converted."""
    loads = [n for n in walk(node, "subscript_expression")]
    place = subscript(kernel.source, loads[0]) if len(loads) == 1 else None
    if place is None or place[0] not in kernel.pointers:
        return None
    return Factor(kernel.source.of(node), kernel.source.of(loads[0]), kernel.pointers[place[0]])


def rows_along_y(c: Contraction) -> bool:
    """Whether the left factor's index goes along y, so that the right one's goes along a warp."""
    return c.row.axis == "y" and c.col.axis == "x"


def substituted(text: str, names: dict[str, str]) -> str:
    """A text with whole words replaced.

    >>> substituted("a[row * k + i]", {"i": "(start + j)"})
    'a[row * k + (start + j)]'
    """
    return re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda m: names.get(m[0], m[0]), text)
