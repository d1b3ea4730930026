"""From a loop to its dependence graph on one machine."""

from __future__ import annotations

from ir.diagnostics import UserError, fail
from ir.graph import DependenceGraph
from ir.loop import Kernel, Loop
from ir.machine import Machine
from twill.analysis.scope import Scope
from twill.lowering.accumulators import overwrite_edges
from twill.lowering.ampere import AMPERE
from twill.lowering.blackwell import BLACKWELL, SMALLEST_ROWS
from twill.lowering.context import Context, Family
from twill.lowering.finish import Finisher
from twill.lowering.fuse import fuse
from twill.lowering.hopper import HOPPER, ROWS
from twill.lowering.layouts import without_layouts
from twill.lowering.mma import MMA_ROWS
from twill.lowering.order import Performed, order_edges
from twill.lowering.resolve import resolve
from twill.lowering.rules import lower_operation
from twill.lowering.split import split_rows

FAMILIES = {
    "sm_80": AMPERE,
    "sm_86": AMPERE,
    "sm_87": AMPERE,
    "sm_89": AMPERE,
    "sm_120": AMPERE,
    "sm_121": AMPERE,
    "sm_90": HOPPER,
    "sm_100": BLACKWELL,
    "sm_103": BLACKWELL,
}
# Rows below which a piece is no tile of the tensor core.
SMALLEST_PIECE = {"ampere": MMA_ROWS, "hopper": ROWS, "blackwell": SMALLEST_ROWS}
_MOST_SUBTILES = 4


def lower(
    kernel: Kernel, loop: Loop, machine: Machine, subtile: int = 1, assume_distinct_arguments: bool = True
) -> DependenceGraph:
    """The dependence graph of an innermost loop, with the rows of its accumulators split into `subtile` copies.

    assume_distinct_arguments: accesses through different pointer arguments do not overlap (the graph notes it where it
    mattered); False keeps all such orders as assumed edges.
    Raises UserError: loop-refused, loop-not-innermost, unknown-architecture, unknown-opcode, unsupported-type,
    subtile-refused, missing-rate, pipelined-ttgir.
    """
    kernel, loop = _checked(kernel, loop)
    family = family_of(machine)
    scope = Scope(kernel, loop)
    split = split_rows(scope, subtile, SMALLEST_PIECE[family.name])
    context = Context(scope, machine, family, split)
    performed = _lower_body(context)
    context.draft.edges += order_edges(context, performed, assume_distinct_arguments)
    edges = fuse(context.draft, resolve(context))
    edges += overwrite_edges(context.draft, edges)
    if context.accesses:
        context.draft.note("latencies of loads are those of a hit in the L2")
    finisher = Finisher(context.draft, tuple(edges))
    return DependenceGraph(
        name=f"{kernel.name}:{loop.name}",
        ops=finisher.ops(),
        edges=finisher.edges(),
        invariants=finisher.invariants(),
        subtiles=subtile,
        trip_count=loop.trip_count,
        location=loop.location,
        notes=tuple(context.draft.notes),
    )


def legal_subtiles(kernel: Kernel, loop: Loop, machine: Machine) -> tuple[int, ...]:
    """Numbers of sub-tiles, up to 4, into which the loop can be split on this machine; 1 is always one."""
    kernel, loop = _checked(kernel, loop)
    smallest = SMALLEST_PIECE[family_of(machine).name]
    scope = Scope(kernel, loop)
    return (1, *(n for n in range(2, _MOST_SUBTILES + 1) if _is_legal(scope, n, smallest)))


def family_of(machine: Machine) -> Family:
    """The rules for a machine's architecture. Raises UserError `unknown-architecture`."""
    if machine.architecture not in FAMILIES:
        remedy = f"architectures: {', '.join(FAMILIES)}"
        raise fail(
            "unknown-architecture", f"no rules for {machine.architecture} of machine {machine.name}", remedy=remedy
        )
    return FAMILIES[machine.architecture]


def _checked(kernel: Kernel, loop: Loop) -> tuple[Kernel, Loop]:
    """A loop that can be lowered, in TTIR's terms."""
    if loop.refusal is not None:
        raise fail("loop-refused", loop.refusal, loop.location)
    inner = [item.name for item in loop.body if isinstance(item, Loop)]
    if inner:
        message = f"loop {loop.name} has loops inside it ({', '.join(inner)}); only innermost loops are scheduled"
        raise fail("loop-not-innermost", message, loop.location, f"choose one of: {', '.join(inner)}")
    return without_layouts(kernel, loop)


def _is_legal(scope: Scope, copies: int, smallest: int) -> bool:
    try:
        split_rows(scope, copies, smallest)
    except UserError:
        return False
    return True


def _lower_body(context: Context) -> Performed:
    """Lower each operation, copy by copy; returns which op performs which operation."""
    performed: dict[int, tuple[tuple[str, int | None], ...]] = {}
    for operation in context.scope.operations:
        for copy in context.split.copies_of(operation):
            before = set(context.draft.ops)
            lower_operation(context, operation, copy)
            made = [op for name, op in context.draft.ops.items() if name not in before]
            names = tuple((op.name, copy) for op in made if op.opcode == operation.opcode)
            performed[id(operation)] = (*performed.get(id(operation), ()), *names)
    return performed
