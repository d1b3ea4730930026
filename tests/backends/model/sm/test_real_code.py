"""The shipped kernels' machine code: every opcode has a class, a simulation is quick and near its bounds."""

from __future__ import annotations

import time

import pytest

from backends.model.sm import MemoryCost, Repeat, Run, SmResult, Step, WarpTrace, simulate
from backends.model.sm.classes import classify
from backends.sass.function import Function
from backends.sass.opcodes import OPCODES
from tests.backends.model.sm.builder import parameters

pytest.importorskip("cuda.bindings")


def test_every_known_opcode_has_a_class() -> None:
    assert [opcode for opcode in sorted(OPCODES) if classify(opcode) is None] == []


def trace(function: Function, counts: dict[int, int]) -> WarpTrace:
    """Every block once, those of a loop as often as `counts` says of its depth."""

    def steps(blocks: list[int], parent: int | None, depth: int) -> tuple[Step, ...]:
        found: list[Step] = []
        done: set[int] = set()
        for number in blocks:
            owner = next((i for i, x in enumerate(function.loops) if x.parent == parent and number in x.blocks), None)
            if owner is None:
                found.append(Run((number,)))
            elif owner not in done:
                done.add(owner)
                inside = sorted(function.loops[owner].blocks)
                found.append(Repeat(steps(inside, owner, depth + 1), counts.get(depth, 1)))
        return tuple(found)

    return steps([b.number for b in function.blocks], None, 0)


def costs(function: Function) -> dict[int, MemoryCost]:
    """Full lanes on adjacent addresses; global memory from the L2."""
    found = {}
    for i in function.instructions:
        if i.access and i.access.space in ("global", "shared", "local"):
            width = i.access.bytes_per_lane
            found[i.index] = MemoryCost(i.access.space, i.access.kind, width, max(1.0, width / 4), float(width))
    return found


@pytest.mark.parametrize(("variant", "machine", "warps"), [("tuned", "a6000", 8), ("warp_tiled", "a100", 4)])
def test_sgemm(variant: str, machine: str, warps: int) -> None:
    from tests.backends.sass.machine_codes import function

    known = parameters(machine)
    code = function("sgemm", variant, known.machine.architecture)
    work = [(trace(code, {0: 256, 1: 16}),) * warps] * 2
    begin = time.process_time()
    result: SmResult = simulate(code, work, costs(code), known)
    seconds = time.process_time() - begin
    assert result.is_extrapolated
    # On an idle processor it is half a second.
    assert seconds < 4
    assert {d.rule for d in result.assumptions} <= {"memory-cost-unknown"}
    for pipe in ("fma", "alu", "xu"):
        assert result.pipe_busy[pipe] <= 4 * result.cycles * 1.001
    assert result.pipe_busy["lsu"] <= result.cycles * 1.001
    fmas = sum(n for n, i in zip(result.issues, code.instructions, strict=True) if i.opcode == "FFMA")
    assert fmas * known.intervals["fp32"] / 4 < result.cycles
