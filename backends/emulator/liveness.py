"""Which registers a later block may read: the classical backward data flow over basic blocks."""

from __future__ import annotations

from collections.abc import Sequence

from backends.emulator.program import Program, Row
from backends.emulator.translate.block import Block
from backends.ptx.syntax import Symbol


def successors(program: Program, number: int) -> tuple[int, ...]:
    """Blocks that may follow; the number of blocks stands for the end."""
    last = program.instructions[program.blocks[number][-1]]
    onward = (number + 1,)
    if last.base in ("ret", "exit"):
        targets: tuple[int, ...] = (len(program.blocks),)
    elif last.base == "bra":
        target = last.operands[0]
        assert isinstance(target, Symbol)
        targets = (program.labels[target.name],)
    elif last.base == "brx":
        names = program.entry.targets[getattr(last.operands[1], "name", "")]
        return (*(program.labels[name] for name in names), *onward)
    else:
        return onward
    return targets if last.guard is None else (*targets, *onward)


def live_out(program: Program, blocks: Sequence[Block]) -> tuple[frozenset[Row], ...]:
    """Per block, the registers that are read after it on some path before they are written."""
    count = len(blocks)
    following = [successors(program, number) for number in range(count)]
    live_in = [set(block.live_in) for block in blocks] + [set()]
    changed = True
    while changed:
        changed = False
        for number in reversed(range(count)):
            out = set().union(*(live_in[s] for s in following[number]))
            new = out - blocks[number].killed
            if not new <= live_in[number]:
                live_in[number] |= new
                changed = True
    return tuple(frozenset().union(*(live_in[s] for s in following[number])) for number in range(count))
