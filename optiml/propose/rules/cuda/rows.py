"""Kernels as they are first written for the rows of a matrix: each thread has a row, which its loops go along.

    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = 0; i < cols; ++i) sum += x[row * cols + i];
    y[row] = sum;

Such a kernel can be given to a team of threads for each row: they take every T-th element, and merge what loops reduce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from optiml.cuda_source import walk
from optiml.propose.rules.cuda.forms.guards import is_early_return
from optiml.propose.rules.cuda.kernel import CudaKernel
from optiml.propose.rules.cuda.loops import (
    GLOBAL_INDEX,
    ZEROS,
    Loop,
    assignment,
    declared,
    expression,
    loop_of,
    statements,
    subscript,
    written,
)
from optiml.propose.rules.cuda.reductions import NEUTRAL, merged

_INNER = ("for_statement", "while_statement", "do_statement", "if_statement", "return_statement", "break_statement")
_EXTREMES = ("fmaxf", "fminf")


@dataclass(frozen=True)
class Reduction:
    """A variable of a type that a loop adds to (operator +) or takes the largest or smallest of (fmaxf, fminf)."""

    name: str
    operator: str
    starts_at_zero: bool
    type: str

    def shuffled(self, distance: str) -> str:
        """A statement after which each lane of a warp has what all of them have reduced."""
        other = f"__shfl_xor_sync(0xffffffffu, {self.name}, {distance})"
        value = merged(self.operator, self.name, other)
        return f"for (int {distance} = 16; {distance} > 0; {distance} /= 2) {self.name} = {value};"

    @property
    def neutral(self) -> str:
        """What changes nothing when it is merged."""
        return NEUTRAL[self.operator]


@dataclass(frozen=True)
class RowLoop:
    """A loop along the row, and what it reduces."""

    loop: Loop
    reductions: tuple[Reduction, ...]


@dataclass(frozen=True)
class Rows:
    """index: the variable that is the row's number. stores: statements that one thread of a team shall do."""

    kernel: CudaKernel
    index: str
    declaration: Node = field(repr=False)
    loops: tuple[RowLoop, ...]
    stores: tuple[Node, ...] = field(repr=False)


def rows_of(kernel: CudaKernel) -> Rows | None:
    """The kernel as one of rows; None where it is none, or does anything that a team could not share."""
    block, nodes = kernel.unit.block(), statements(kernel.body)
    guard = next((i for i, n in enumerate(nodes) if not declared(kernel.source, n)), 0)
    found = [n for n in nodes[:guard] if (d := declared(kernel.source, n)) and d[1].replace(" ", "") == GLOBAL_INDEX]
    condition = nodes[guard].child_by_field_name("condition") if nodes else None
    is_flat = block is not None and block[1:] == (1, 1) and not kernel.has("__syncthreads", "gridDim.x")
    is_whole = "threadIdx" not in kernel.source.names(condition)
    if not is_flat or not is_whole or len(found) != 1 or not is_early_return(kernel.source, nodes[guard]):
        return None
    loops, stores = list[RowLoop](), list[Node]()
    for node in nodes[guard + 1 :]:
        loop = loop_of(kernel.source, node)
        row_loop = _row_loop(kernel, loop) if loop is not None else None
        if row_loop is not None:
            loops.append(row_loop)
        elif _is_store(kernel, node):
            stores.append(node)
        elif not _is_scalar(kernel, node):
            return None
    index = declared(kernel.source, found[0])
    return Rows(kernel, index[0], found[0], tuple(loops), tuple(stores)) if loops and index is not None else None


def shared_among(rows: Rows, lane: str, threads: int, merge: Callable[[Reduction], str]) -> list[tuple[int, int, str]]:
    """Changes that let `threads` threads, whose number is `lane`, share each row.

    merge: the statements after which each thread of a team has what all of them have reduced.
    """
    changes = [(n.start_byte, n.start_byte, f"if ({lane} == 0) ") for n in rows.stores]
    for row_loop in rows.loops:
        loop = row_loop.loop
        start = lane if loop.start == "0" else f"{loop.start} + {lane}"
        kind = rows.kernel.source.of(_type(loop.node))
        header = f"for ({kind} {loop.var} = {start}; {loop.var} < {loop.stop}; {loop.var} += {threads}) "
        before = "".join(
            f"if ({lane} != 0) {r.name} = 0;\n    "
            for r in row_loop.reductions
            if r.operator == "+" and not r.starts_at_zero
        )
        after = "".join(map(merge, row_loop.reductions))
        changes += [(loop.node.start_byte, loop.body.start_byte, before + header)]
        changes += [(loop.node.end_byte, loop.node.end_byte, after)] if after else []
    return changes


def _type(loop: Node) -> Node | None:
    start = loop.child_by_field_name("initializer")
    return start.child_by_field_name("type") if start is not None else None


def _row_loop(kernel: CudaKernel, loop: Loop) -> RowLoop | None:
    """A loop from a number by 1 whose statements each reduce into a variable or write an element of their own."""
    if not loop.start.isdigit() or loop.step != "1" or any(walk(loop.body, *_INNER)):
        return None
    reductions = list[Reduction]()
    for node in statements(loop.body):
        update = assignment(kernel.source, node)
        if update is not None and subscript(kernel.source, update[0]) is not None:
            if loop.var not in kernel.source.names(update[0]):
                return None
        elif update is not None:
            reduction = _reduction(kernel, loop, update)
            if reduction is None:
                return None
            reductions.append(reduction)
        elif declared(kernel.source, node) is None:
            return None
    return RowLoop(loop, tuple(reductions)) if _are_alone(kernel, loop, reductions) else None


def _are_alone(kernel: CudaKernel, loop: Loop, reductions: Sequence[Reduction]) -> bool:
    """Whether no loop reads, but to update it, what it reduces: each thread has but a part of it."""
    for reduction in reductions:
        uses = sum(kernel.source.of(n) == reduction.name for n in walk(loop.body, "identifier"))
        if uses != (1 if reduction.operator == "+" else 2):
            return False
    return len({r.name for r in reductions}) == len(reductions)


def _reduction(kernel: CudaKernel, loop: Loop, update: tuple[Node, str, Node]) -> Reduction | None:
    name = kernel.source.of(update[0])
    start = _declaration(kernel, name)
    if update[0].type != "identifier" or start is None or start.start_byte > loop.node.start_byte:
        return None
    value = declared(kernel.source, start)
    is_zero = value is not None and value[1] in ZEROS and not _is_changed_between(kernel, start, loop, name)
    kind = kernel.source.of(start.child_by_field_name("type"))
    if update[1] == "+=":
        return Reduction(name, "+", is_zero, kind)
    call = update[2]
    function = kernel.source.of(call.children[0]) if call.type == "call_expression" else ""
    is_extreme = update[1] == "=" and function in _EXTREMES and name in kernel.source.names(call)
    return Reduction(name, function, is_zero, kind) if is_extreme else None


def _declaration(kernel: CudaKernel, name: str) -> Node | None:
    found = (n for n in statements(kernel.body) if (d := declared(kernel.source, n)) and d[0] == name)
    return next(found, None)


def _is_changed_between(kernel: CudaKernel, start: Node, loop: Loop, name: str) -> bool:
    nodes = statements(kernel.body)
    between = (n for n in nodes if start.end_byte <= n.start_byte < loop.node.start_byte)
    return any(name in written(kernel.source, n) for n in between)


def _is_store(kernel: CudaKernel, node: Node) -> bool:
    """An assignment to an element, or an atomic addition."""
    update, inner = assignment(kernel.source, node), expression(node)
    is_atomic = inner is not None and inner.type == "call_expression" and kernel.source.of(inner).startswith("atomic")
    return is_atomic or (update is not None and subscript(kernel.source, update[0]) is not None)


def _is_scalar(kernel: CudaKernel, node: Node) -> bool:
    """A declaration, or an assignment to a variable."""
    update = assignment(kernel.source, node)
    is_call = any(walk(node, "lambda_expression", "for_statement"))
    is_plain = declared(kernel.source, node) is not None or (update is not None and update[0].type == "identifier")
    return is_plain and not is_call
