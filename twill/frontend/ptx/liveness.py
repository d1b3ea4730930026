"""Registers that are live at the start of each block of a PTX function, by the usual backward data flow."""

from __future__ import annotations

from backends.ptx.syntax import Register
from twill.frontend.ptx.flow import Block, Flow
from twill.frontend.ptx.opcodes import effects

Registers = frozenset[Register]


def live_in(flow: Flow) -> dict[int, Registers]:
    """Block -> registers whose value at its start may be read (Aho et al., Compilers, section 9.2.5)."""
    local = {index: _upward_and_killed(block) for index, block in flow.blocks.items()}
    live: dict[int, Registers] = dict.fromkeys(flow.blocks, frozenset())
    pending = sorted(flow.blocks)
    while pending:
        index = pending.pop()
        upward, killed = local[index]
        out = frozenset[Register]().union(*(live[e.target] for e in flow.blocks[index].successors))
        found = upward | (out - killed)
        if found != live[index]:
            live[index] = found
            pending += flow.graph.predecessors(index)
    return live


def _upward_and_killed(block: Block) -> tuple[Registers, Registers]:
    """Registers read before they are written, and registers surely written (a guarded write is not sure)."""
    upward: set[Register] = set()
    killed: set[Register] = set()
    for instruction in block.instructions:
        what = effects(instruction)
        guard = [instruction.guard.register] if instruction.guard else []
        upward.update(r for r in (*what.reads, *guard) if r not in killed)
        if not guard:
            killed.update(what.defines)
    return frozenset(upward), frozenset(killed)
