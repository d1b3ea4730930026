"""Independent loads one after the other, with control bits set by hand as for the measurement, as no compiler does."""

from __future__ import annotations

from dataclasses import replace

from backends.model.parameters import SmParameters
from backends.model.sm import MemoryCost, Run, simulate
from backends.sass.flow import Block
from backends.sass.function import Function, function_of
from backends.sass.instruction import Control
from backends.sass.listing import Line, Listing
from ir.machine import Machine

LOADS = 12
# A coalesced load that the L1 has.
_HIT = MemoryCost("global", "load", 4, wavefronts=1.0, sectors=4.0, l1_hit_share=1.0)
# The next instruction may issue a cycle later, and nothing is waited for.
_AT_ONCE = Control(1, False, None, None, 0, 0)
# The first load of the published table issues in cycle 2, that of the simulation in 0.
_FIRST = 2


def issue_cycles(machine: Machine, active: int) -> dict[tuple[int, int, int], int]:
    """(active, sub-core, number of the load) -> cycle of its issue, with one warp on each of `active` sub-cores."""
    code = _loads(machine.architecture)
    warps = tuple([(Run((0,)),)] * active)
    costs = dict.fromkeys(range(LOADS), _HIT)
    result = simulate(code, [warps], costs, SmParameters(machine), timeline=active * (LOADS + 1))
    return {(active, i.warp, i.instruction + 1): i.cycle + _FIRST for i in result.timeline if i.instruction < LOADS}


def _loads(architecture: str) -> Function:
    """Each into a register of its own, and the end."""
    texts = [f"LDG.E R{8 + i}, [R2.64]" for i in range(LOADS)] + ["EXIT"]
    lines = [Line(16 * i, text, 0, (), None) for i, text in enumerate(texts)]
    read = function_of(Listing(lines, {}), "loads", architecture).instructions
    return Function(
        "loads", architecture, tuple(replace(i, control=_AT_ONCE) for i in read), (Block(0, 0, LOADS + 1, ()),), ()
    )
