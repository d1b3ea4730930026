"""From PTX text to a dependence graph, for the tests of the PTX lowering."""

from collections.abc import Callable
from pathlib import Path

from backends.machines import load_machine
from ir.graph import DependenceGraph, Edge
from ir.machine import Machine
from twill.frontend.ptx import load_ptx
from twill.lowering.ptx import instruction_machine, lower_ptx

Lower = Callable[[str], DependenceGraph]


def lower_file(path: Path | str, machine: str = "h100") -> tuple[DependenceGraph, Machine]:
    """Graph and machine of the one innermost loop of a PTX file."""
    kernel, target = load_ptx(path), load_machine(machine)
    (loop,) = (loop for loop in kernel.loops() if loop.is_innermost)
    return lower_ptx(kernel, loop, target), instruction_machine(target)


def edges_between(graph: DependenceGraph, source: str, target: str) -> list[Edge]:
    """Edges from one op to another, or to its issue slot."""
    return [e for e in graph.edges if e.source == source and e.target.removesuffix(".issue") == target]
