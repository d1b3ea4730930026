"""Let a block go through several planes, and keep what it reads of neighbouring ones in registers on the way.

Precondition: a plane for each block along an axis of the grid, `z = blockIdx.z`, the number of which the kernel's
scalars tell; loads from constant pointers that are the same but for `z - 1`, `z`, `z + 1` (or some of these, in a row),
done by every thread that comes to them; no barrier, no shared memory, and no return after the first use of z.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... __global__ void f(const float* x, float* y, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     int z = blockIdx.y;
...     if (i >= n) return;
...     y[z * n + i] = x[(z + 1) * n + i] + x[z * n + i];
... }''', "in:x out:y n", launch_grid=["cdiv(N, 256)", "N"])
__global__ void f(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int first = blockIdx.y * 16;
    if (i >= n) return;
    auto plane_0 = x[first * n + i];
    for (int z = first; z < min(first + 16, n); ++z) {
        auto plane_1 = x[(z + 1) * n + i];
    y[z * n + i] = plane_1 + plane_0;
        plane_0 = plane_1;
    }
}
// launch.grid = ['cdiv(N, 256)', 'cdiv(N, 16)']
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from tree_sitter import Node

from optiml.cuda_source import above, walk
from optiml.propose.rules.cuda.expressions import in_cpp
from optiml.propose.rules.cuda.kernel import CudaKernel, CudaRule
from optiml.propose.rules.cuda.loops import declared, statements, written
from optiml.propose.rules.rewrite import Rewrite

_PLANES = (16, 32, 8)
_FORBIDDEN = ("__syncthreads", "__syncwarp", "gridDim.x", "gridDim.y", "gridDim.z")
_LOADS = ("call_expression", "subscript_expression")
# Between a load and its statement: what may skip it.
_CONDITIONAL = ("conditional_expression", "lambda_expression", "compound_statement", "for_statement", "if_statement")


@dataclass(frozen=True)
class _March:
    """Along `axis` of the grid, `planes` of them; rest: the statements from the first that mentions `z`."""

    kernel: CudaKernel
    axis: str
    planes: str
    z: str
    declaration: Node = field(repr=False)
    rest: tuple[Node, ...] = field(repr=False)


def _find(kernel: CudaKernel) -> Iterator[Rewrite]:
    march = _march(kernel)
    windows = list(_windows(march)) if march is not None else []
    if march is None or not windows:
        return
    grid = kernel.unit.extents("grid")
    for depth in _PLANES:
        grids = [f"cdiv({e}, {depth})" if a == march.axis else e for a, e in zip("xyz", grid, strict=True)]
        launch = {"launch.grid": grids[: len(kernel.unit.launch["grid"])]}
        yield Rewrite(f"{march.axis}{depth}", _rewritten(march, windows, depth), launch)


def _march(kernel: CudaKernel) -> _March | None:
    source, nodes = kernel.source, statements(kernel.body)
    if kernel.has(*_FORBIDDEN) or "__shared__" in source.of(kernel.function):
        return None
    for axis, extent in zip("xyz", kernel.unit.extents("grid"), strict=True):
        planes, number = in_cpp(kernel, extent), f"blockIdx.{axis}"
        uses = [n for n in walk(kernel.body, "field_expression") if source.of(n) == number]
        own = [(n, d[0]) for n in nodes if (d := declared(source, n)) is not None and d[1] == number]
        if planes is None or extent == "1" or len(uses) != 1 or not own:
            continue
        declaration, z = own[0]
        later = nodes[nodes.index(declaration) + 1 :]
        start = next((i for i, n in enumerate(later) if z in source.names(n)), len(later))
        rest = tuple(later[start:])
        if rest and not any(any(walk(n, "return_statement")) or z in written(source, n) for n in rest):
            return _March(kernel, axis, planes, z, declaration, rest)
    return None


def _windows(march: _March) -> Iterator[Mapping[int, list[Node]]]:
    """Offset from z -> loads there; only groups of several offsets in a row."""
    groups: dict[str, dict[int, list[Node]]] = defaultdict(lambda: defaultdict(list))
    for statement in march.rest:
        for load in _loads(march, statement):
            offsets = {offset for _, offset in _places(march, load)}
            if len(offsets) == 1:
                groups[_moved(march, load, "").replace("()", "")][offsets.pop()].append(load)
    for group in groups.values():
        is_row = len(group) > 1 and max(group) - min(group) == len(group) - 1
        if is_row and all(_is_unconditional(march, n) for loads in group.values() for n in loads):
            yield group


def _loads(march: _March, statement: Node) -> Iterator[Node]:
    """The outermost loads of a statement that depend on z, and on nothing that changes behind it."""
    source, kernel = march.kernel.source, march.kernel
    changed = {name for n in march.rest for name in (*written(source, n), *_declares(march, n))}
    constant = {name for name, p in kernel.pointers.items() if "const" in source.of(p.node).split("*")[0]}
    seen: list[Node] = []
    for node in walk(statement, *_LOADS):
        names = source.names(node)
        inside = any(s.start_byte <= node.start_byte and node.end_byte <= s.end_byte for s in seen)
        pointers = names & kernel.pointers.keys()
        is_load = bool(pointers) and pointers <= constant and march.z in names and not names & (changed - {march.z})
        if is_load and not inside:
            seen.append(node)
            yield node


def _declares(march: _March, statement: Node) -> Iterator[str]:
    for node in walk(statement, "init_declarator"):
        yield march.kernel.source.of(node.child_by_field_name("declarator"))


def _places(march: _March, load: Node) -> Iterator[tuple[Node, int]]:
    """Each `z`, `z + 1` or `z - 1` of a load, with its offset."""
    source = march.kernel.source
    for use in (n for n in walk(load, "identifier") if source.of(n) == march.z):
        parent = use.parent
        is_sum = parent is not None and parent.type == "binary_expression" and parent.children[0] == use
        if is_sum and parent is not None and source.of(parent.children[1]) in ("+", "-"):
            number = source.of(parent.children[2])
            if number.isdigit():
                yield parent, int(f"{source.of(parent.children[1])}{number}")
                continue
        yield use, 0


def _moved(march: _March, load: Node, z: str) -> str:
    """The load with `z` for what stands for the plane there."""
    changes = tuple((n.start_byte, n.end_byte, z) for n, _ in _places(march, load))
    return march.kernel.source.spliced_within(load.start_byte, load.end_byte, changes)


def _is_unconditional(march: _March, load: Node) -> bool:
    statement = above(load, "expression_statement", "declaration", *_CONDITIONAL)
    is_lazy = any(march.kernel.source.of(n) in ("&&", "||") for n in walk(statement)) if statement is not None else True
    return statement in march.rest and not is_lazy


def _rewritten(march: _March, windows: list[Mapping[int, list[Node]]], depth: int) -> str:
    source, kernel = march.kernel.source, march.kernel
    first, numbers = kernel.fresh("first"), count()
    before, loads, shifts, changes = "", "", "", [
        (march.declaration.start_byte, march.declaration.end_byte, f"int {first} = blockIdx.{march.axis} * {depth};")
    ]  # fmt: skip
    for window in windows:
        offsets = sorted(window)
        names = {offset: kernel.fresh(f"plane_{next(numbers)}") for offset in offsets}
        for offset in offsets[:-1]:
            before += f"auto {names[offset]} = {_moved(march, window[offset][0], _plane(first, offset))};\n    "
        last = offsets[-1]
        loads += f"\n        auto {names[last]} = {_moved(march, window[last][0], _plane(march.z, last))};"
        shifts += "".join(f"\n        {names[o]} = {names[o + 1]};" for o in offsets[:-1])
        changes += [(n.start_byte, n.end_byte, names[offset]) for offset in offsets for n in window[offset]]
    end = f"min({first} + {depth}, {march.planes})"
    head = f"{before}for (int {march.z} = {first}; {march.z} < {end}; ++{march.z}) {{{loads}\n    "
    start, stop = march.rest[0].start_byte, march.rest[-1].end_byte
    return source.spliced((start, start, head), *changes, (stop, stop, f"{shifts}\n    }}"))


def _plane(z: str, offset: int) -> str:
    return f"{z} {'+' if offset > 0 else '-'} {abs(offset)}" if offset else z


RULE = CudaRule(
    "march",
    frozenset({"issue", "l1", "l2", "latency", "dram", "launch"}),
    "A thread that goes from plane to plane has what it read of the last ones in registers: it loads each value once.",
    _find,
)
