"""Why a loop cannot be pipelined, or gains nothing from it: refusals, and recurrences as long as the whole body."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ir.diagnostics import Diagnostic
from ir.graph import DependenceGraph
from ir.loop import Loop
from ir.machine import Machine
from ir.schedule import Bound
from twill.explain.interval import bound_lines
from twill.explain.length import longest_path_cycles
from twill.explain.words import names_text, plural
from twill.problem.bounds import recurrence_bound, resource_bounds

# A recurrence or a unit that takes this share of an iteration leaves no room for overlap worth having.
SERIAL_SHARE = Fraction(9, 10)

# What to do about a refusal, by a word in it; the first that fits.
REMEDIES = {
    "while": "give it a trip count that is known before it runs: `for i in range(...)`",
    "call": "let the called function be inlined, or move the call out of the loop",
    "branch": "turn the branch into a select (`tl.where`), or move it out of the loop",
    "control flow": "turn branches into selects (`tl.where`), or move them out of the loop",
}
DEFAULT_REMEDY = "pipeline another loop of the kernel: `twill loops` lists them"


def why_not(
    loop: Loop | None = None, graph: DependenceGraph | None = None, machine: Machine | None = None
) -> tuple[Diagnostic, ...]:
    """Every reason against pipelining a loop, from its source form and, where given, its graph; empty if none.

    `loop` is the loop as read, `graph` and `machine` the lowered body. Cycles are modelled.
    Raises ValueError for a graph with a cycle of distance 0.
    """
    return (*(_of_loop(loop) if loop else ()), *(_of_graph(graph, machine) if graph else ()))


def _of_loop(loop: Loop) -> Iterator[Diagnostic]:
    if loop.refusal is not None:
        yield Diagnostic("loop-refused", f"loop {loop.name}: {loop.refusal}", loop.location, _remedy(loop.refusal))
    inner = [item for item in loop.body if isinstance(item, Loop)]
    if inner:
        places = ", ".join(f"{item.name}{f' at {item.location}' if item.location else ''}" for item in inner)
        remedy = f"pipeline an inner loop: --loop {inner[0].name}"
        yield Diagnostic("loop-not-innermost", f"loop {loop.name} contains loop {places}", loop.location, remedy)
    if loop.trip_count is not None and loop.trip_count <= 1:
        message = f"loop {loop.name} runs {plural(loop.trip_count, 'time')}: there are no iterations to overlap"
        yield Diagnostic("loop-trip-count", message, loop.location, "make the tile along the loop smaller")
    if not loop.body and loop.refusal is None:
        yield Diagnostic("loop-empty", f"loop {loop.name} has no operations", loop.location, DEFAULT_REMEDY)


def _remedy(refusal: str) -> str:
    return next((remedy for word, remedy in REMEDIES.items() if word in refusal), DEFAULT_REMEDY)


def _of_graph(graph: DependenceGraph, machine: Machine | None) -> Iterator[Diagnostic]:
    length = longest_path_cycles(graph)
    bound = recurrence_bound(graph)
    if bound is not None and bound.ii_cycles >= SERIAL_SHARE * length:
        yield Diagnostic(
            "loop-serial", _serial_text(graph, bound, length), graph.location, _serial_remedy(graph, bound)
        )
    units = resource_bounds(graph, machine) if machine else ()
    serial = sum(op.span_cycles for op in graph.ops)
    if machine is not None and units and units[0].ii_cycles >= SERIAL_SHARE * serial:
        yield Diagnostic("loop-unit-bound", _unit_text(graph, machine, units[0], serial), graph.location)


def _serial_text(graph: DependenceGraph, bound: Bound, length: int) -> str:
    steps = _steps(graph, bound)
    share = f"{bound.ii_cycles} of the {length} modelled cycles of an iteration"
    return f"each iteration waits for the one before it for {share}: {'; '.join(steps)}"


def _steps(graph: DependenceGraph, bound: Bound) -> list[str]:
    lines = [line.strip() for line in bound_lines(graph, Machine("", units={}), bound)]
    return [line for line in lines if " -> " in line and not line.endswith("takes:")]


def _serial_remedy(graph: DependenceGraph, bound: Bound) -> str:
    carried = [e for e in graph.edges if e.source in bound.ops and e.target in bound.ops and e.distance]
    assumed = [f"{e.source} -> {e.target}" for e in carried if e.assumed]
    if assumed:
        return f"assumed, not proven: {names_text(assumed)}; state that the pointers do not alias"
    names = [f"{e.source} -> {e.target}" for e in carried]
    return f"break the recurrence at {names_text(names)}: keep several partial results and combine them after the loop"


def _unit_text(graph: DependenceGraph, machine: Machine, bound: Bound, serial: int) -> str:
    held = sum(graph.by_name[name].occupancy_cycles for name in bound.ops)
    busy = plural(held, "modelled cycle")
    count = plural(machine.units[bound.name], "instance")
    return f"{bound.name} ({count}) is held for {busy}, and one op after the other takes {serial}: overlap gains little"
