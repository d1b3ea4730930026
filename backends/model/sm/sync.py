"""Barriers, fences, and waits: what makes a warp stop for other warps and for the asynchronous engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.model.parameters import WARP_LANES
from backends.model.sm.program import Program, Record
from backends.model.sm.result import BARRIER, GMMA, LONG_SCOREBOARD, MEMBAR, SLEEPING, WAIT
from backends.model.sm.state import Completion, Cta, Gathering, Shared, Warp, hold_back, park, signal

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

_CLUSTER = -1


def prepare_barrier(program: Program, record: Record) -> None:
    """details: (number of the barrier, warps that it takes or 0 for the CTA's, whether the warp waits)."""
    instruction = record.instruction
    numbers = [_constant(operand) for operand in instruction.operands]
    number, threads = [*numbers, 0, 0][:2]
    if number is None or threads is None:
        remedy = "barriers with constant numbers and thread counts are exact"
        program.assume(
            record, "barrier-operands", "number or count is in a register: taken for barrier 0 of all", remedy
        )
    record.details = (number or 0, (threads or 0) // WARP_LANES, "ARV" not in instruction.modifiers)


def barrier(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """BAR: arrivals pass the barrier unit one after the other, the last one lets all go on."""
    if record.barrier is not None and not takes_part(warp, record):
        return
    number, expected, waits = record.details
    gathering = warp.cta.barriers.setdefault(number, Gathering())
    gathering.expected = expected
    gathering.arrived += 1
    sm.barrier_free = max(sm.barrier_free, now) + sm.barrier_cycles_per_warp
    if waits:
        gathering.waiting.append(warp)
        park(warp, record, BARRIER)
    _open_if_complete(sm, warp.cta, gathering, sm.barrier_free + sm.barrier_cycles)


def prepare_cluster_barrier(program: Program, record: Record) -> None:
    """The CTAs of a cluster are on other SMs: taken to arrive together with this one."""
    record.latency = program.parameters.cycles("cluster_barrier_cycles")
    waits = "WAIT" in record.instruction.opcode
    record.details = (_CLUSTER, 0, waits)


def cluster_barrier(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """UCGABAR_ARV counts, UCGABAR_WAIT holds the warp until all of the CTA have arrived and the cluster was told."""
    gathering = warp.cta.barriers.setdefault(_CLUSTER, Gathering())
    if record.details[2]:
        gathering.arrived += 1
        gathering.waiting.append(warp)
        park(warp, record, BARRIER)
        _open_if_complete(sm, warp.cta, gathering, now + record.latency)


def leave_barriers(sm: Engine, cta: Cta, now: int) -> None:
    """A warp has exited: a barrier of the whole CTA that waited for it alone opens."""
    for gathering in cta.barriers.values():
        if gathering.arrived and not gathering.expected:
            _open_if_complete(sm, cta, gathering, now + sm.barrier_cycles)


def _open_if_complete(sm: Engine, cta: Cta, gathering: Gathering, time: int) -> None:
    if gathering.arrived < (gathering.expected or cta.live):
        return
    waiting, gathering.waiting, gathering.arrived = gathering.waiting, [], 0
    for warp in waiting:
        sm.release(warp, time)


def prepare_membar(program: Program, record: Record) -> None:
    """A fence of the CTA is short, any wider one goes to the L2 and back."""
    name = "fence_cycles" if "CTA" in record.instruction.modifiers else "ptx_membar_cycles"
    record.latency = program.parameters.cycles(name)


def prepare_fence(program: Program, record: Record) -> None:
    """Fences of views and caches cost a fixed time."""
    record.latency = program.parameters.cycles("fence_cycles")


def membar(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """Hold the warp, and what waits for the scoreboard of the fence."""
    hold_back(warp, record, now + record.latency, MEMBAR)
    signal(warp, record, now + record.latency, now + record.latency)


def commit_copies(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """LDGDEPBAR, UTMACMDFLUSH: the copies since the last commit become a group, counted by a scoreboard.

    ARRIVES arrives at an mbarrier when the copies so far are done; they stay in the group that is open.
    """
    done = max(warp.copies, now + 1)
    if record.instruction.opcode == "ARRIVES":
        if takes_part(warp, record):
            arrive(sm, warp.cta, record, next_use(warp, record), done)
        return
    warp.copies = 0
    warp.groups.setdefault(max(record.write_scoreboard, 0), []).append(done)


def prepare_wait_copies(_program: Program, record: Record) -> None:
    """details: (scoreboard, groups that may be under way)."""
    operands = record.instruction.operands
    scoreboard = int(operands[0][2:]) if operands and operands[0].startswith("SB") else 0
    record.details = (scoreboard, _constant(operands[1]) or 0 if len(operands) > 1 else 0)


def wait_copies(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """DEPBAR.LE: wait until no more than so many groups, the youngest, are under way."""
    scoreboard, left = record.details
    groups = warp.groups.get(scoreboard)
    if groups:
        older = groups[: len(groups) - left] if left else groups
        hold_back(warp, record, max(older, default=0), LONG_SCOREBOARD)
        warp.groups[scoreboard] = [g for g in groups[len(older) :] if g > now]
    elif not left:
        hold_back(warp, record, warp.scoreboards[scoreboard], warp.reasons[scoreboard])


def prepare_wgmma_wait(_program: Program, record: Record) -> None:
    """details: matrix groups that may be under way, or None where the instruction does not wait."""
    instruction = record.instruction
    waits = "DEPBAR" in instruction.modifiers
    record.details = _constant(instruction.operands[-1]) if waits else None


def wgmma_wait(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """WARPGROUP.DEPBAR: wait until no more than so many groups of matrix instructions are under way."""
    if record.details is None:
        return
    older = warp.matrices[: len(warp.matrices) - record.details] if record.details else warp.matrices
    hold_back(warp, record, max(older, default=0), GMMA)
    warp.matrices = [done for done in warp.matrices if done > max(now, max(older, default=0))]


def prepare_sleep(program: Program, record: Record) -> None:
    """details: cycles of the sleep, from its operand in nanoseconds."""
    nanoseconds = next((n for o in record.instruction.operands if (n := _constant(o)) is not None), 0)
    record.details = round(nanoseconds * program.parameters.rate("clock_mhz") / 1000)


def sleep(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """NANOSLEEP: at most twice what was asked for by the PTX ISA, taken for exact."""
    hold_back(warp, record, now + record.details, SLEEPING)


def prepare_setmaxnreg(program: Program, record: Record) -> None:
    """Registers are taken to be free when a warp asks for them: the others gave theirs back first."""
    record.latency = program.parameters.cycles("register_reallocation_cycles")


def setmaxnreg(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """USETMAXREG: a fixed time."""
    hold_back(warp, record, now + record.latency, WAIT)
    signal(warp, record, now + record.latency, now + record.latency)


def prepare_mbarrier(program: Program, record: Record) -> None:
    """details: "wait", "arrive" or "other"; latency of an answer, or of a hand-off to another warp."""
    modifiers = record.instruction.modifiers
    record.details = "wait" if "PHASECHK" in modifiers else "arrive" if "ARRIVE" in modifiers else "other"
    name = "mbarrier_handoff_cycles" if record.details == "arrive" else "lds_latency_cycles"
    record.latency = program.parameters.cycles(name)
    if record.details == "wait" and record.barrier is None:
        remedy = "say which mbarrier each SYNCS instruction uses"
        program.assume(record, "mbarrier-unknown", "which barrier it waits for is unknown: taken for complete", remedy)


def mbarrier(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """SYNCS: a wait stops the warp until its completion is reached, an arrival counts towards one."""
    answered = now + record.latency
    signal(warp, record, answered, answered)
    if record.details == "other" or not takes_part(warp, record):
        return
    sequence = next_use(warp, record)
    if record.details == "arrive":
        arrive(sm, warp.cta, record, sequence, answered)
        return
    assert record.barrier is not None
    completion = _completion(warp.cta, record, sequence) if sequence >= 0 else None
    if completion is None:
        return
    if completion.arrived >= record.barrier.arrivals:
        hold_back(warp, record, max(completion.time, answered), LONG_SCOREBOARD)
    else:
        completion.waiting.append(warp)
        park(warp, record, LONG_SCOREBOARD)


def takes_part(warp: Warp, record: Record) -> bool:
    """Whether the instruction is known to use an mbarrier, and the warp is one of those that do."""
    return record.barrier is not None and record.barrier.takes_part(warp.number)


def next_use(warp: Warp, record: Record) -> int:
    """Which completion this execution by a warp that takes part concerns."""
    assert record.barrier is not None
    site = record.barrier.site or record.index
    use = warp.uses.get(site, 0)
    warp.uses[site] = use + 1
    return record.barrier.completion(warp.number, use)


def arrive(sm: Shared, cta: Cta, record: Record, sequence: int, time: int) -> None:
    """Count an arrival that takes place at a time; the last one lets those go on who wait."""
    assert record.barrier is not None
    completion = _completion(cta, record, sequence)
    completion.arrived += 1
    completion.time = max(completion.time, time)
    if completion.arrived < record.barrier.arrivals:
        return
    waiting, completion.waiting = completion.waiting, []
    for warp in waiting:
        sm.release(warp, completion.time)
    _forget(cta, record.barrier.name, sequence)


def _completion(cta: Cta, record: Record, sequence: int) -> Completion:
    assert record.barrier is not None
    return cta.mbarriers.setdefault(record.barrier.name, {}).setdefault(sequence, Completion())


def _forget(cta: Cta, name: str, sequence: int) -> None:
    """Drop completions that nobody can still ask for: rings are far shorter than this."""
    cta.mbarriers[name].pop(sequence - 256, None)


def _constant(operand: str) -> int | None:
    try:
        return int(operand, 0)
    except ValueError:
        return None
