"""Where blocks have to be cut so that one that gives up half way can be done again from its start.

A native block that an access or an exchange between lanes makes give up has stored no register, but its stores to
memory have happened. NumPy then does the block again, which is right as long as none of its loads reads what the block
has stored itself: a block may not give up once it has stored where it loaded before.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.emulator.program import Program
from backends.ptx.syntax import Instruction

_EXCHANGES = frozenset({"shfl", "vote", "elect"})
_LOADS = frozenset({"ld", "ldu"})
_SPACES = ("global", "shared", "local", "const", "param")


def repeatable(program: Program, block: range) -> Iterator[int]:
    """The instructions of `block` before which it has to be cut."""
    loaded: set[str] = set()
    overwritten = False
    for index in block:
        instruction = program.instructions[index]
        base = instruction.base
        if overwritten and (base in _LOADS or base in _EXCHANGES or base == "st"):
            yield index
            loaded, overwritten = set(), False
        if base in _LOADS:
            loaded.add(_space(instruction))
        elif base == "st":
            overwritten = overwritten or any(_overlap(_space(instruction), other) for other in loaded)


def _space(instruction: Instruction) -> str:
    """The state space of an access; constants, parameters and `.nc` loads are never stored to."""
    if "nc" in instruction.parts:
        return "const"
    found = (part.partition("::")[0] for part in instruction.parts[1:])
    return next((space for space in found if space in _SPACES), "generic")


def _overlap(stored: str, loaded: str) -> bool:
    return loaded not in ("const", "param") and (stored == loaded or "generic" in (stored, loaded))
