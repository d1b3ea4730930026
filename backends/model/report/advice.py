"""Advice in words: a table of small rules, each of which looks at the evidence of a launch and says what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from backends.model.limits import FULL_SHARE
from backends.model.occupancy import Footprint, occupancy
from backends.model.report.lines import SourceLine
from ir.diagnostics import Diagnostic
from ir.machine import Machine

# A line is named if it has this share of what is wasted in the whole kernel.
_SHARE = 0.1
_LOW_OCCUPANCY = 0.5
_LOW_ISSUE = 0.4
# A unit that is so busy gains nothing from more warps.
_FULL = 0.8
_LONG_LAUNCH = 0.3
_LONG_TAIL = 0.1
_REFETCHED = 1.3
_MANY_WAVES = 20


@dataclass(frozen=True)
class Evidence:
    """What rules look at.

    lines: the line-level view. limiter, busy, stall: as in `Limits`. stalls: state -> share of stalled warp-cycles.
    resident: CTAs that an SM holds. ctas, sms: of the grid and the machine. launch_share: of the time. cta_rate_share:
    time in which the chip starts the CTAs, over the whole. dram_bytes and unique_bytes: read and written, and touched.
    """

    machine: Machine
    footprint: Footprint
    lines: tuple[SourceLine, ...]
    limiter: str
    busy: Mapping[str, float]
    stall: str
    stalls: Mapping[str, float]
    resident: int
    ctas: int
    sms: int
    launch_share: float = 0.0
    cta_rate_share: float = 0.0
    dram_bytes: float = 0.0
    unique_bytes: float = 0.0
    spill_bytes: int = 0


Finder = Callable[[Evidence], Iterator[Diagnostic]]


@dataclass(frozen=True)
class Rule:
    """One rule: a stable name, what it looks for, and how."""

    name: str
    text: str
    find: Finder


def advice(evidence: Evidence) -> tuple[Diagnostic, ...]:
    """What the rules find, in the order of their table."""
    return tuple(found for rule in RULES for found in rule.find(evidence))


def _conflicts(e: Evidence) -> Iterator[Diagnostic]:
    total = sum(line.shared_wavefronts for line in e.lines)
    for line in e.lines:
        wasted = line.shared_wavefronts - line.shared_wavefronts_ideal
        if total and wasted / total >= _SHARE:
            message = f"{wasted / total:.0%} of shared wavefronts are conflicts at {_short(line)}"
            each = f"{line.shared_wavefronts / line.shared_requests:.3g} a request"
            remedy = "pad or swizzle the tile so that the lanes of a warp fall into different banks"
            yield Diagnostic(
                "bank-conflicts",
                f"{message}: {each} where {line.shared_wavefronts_ideal / line.shared_requests:.3g} would do",
                line.location, remedy,
            )  # fmt: skip


def _uncoalesced(e: Evidence) -> Iterator[Diagnostic]:
    total = sum(line.global_sectors for line in e.lines)
    for line in e.lines:
        wasted = line.global_sectors - line.global_sectors_ideal
        if total and wasted / total >= _SHARE and line.sectors_per_request and line.ideal_sectors_per_request:
            numbers = f"{line.sectors_per_request:.3g} a request where {line.ideal_sectors_per_request:.3g} would do"
            message = f"{wasted / total:.0%} of global sectors are not needed at {_short(line)}: {numbers}"
            remedy = "let adjacent lanes access adjacent elements, or stage the tile in shared memory"
            yield Diagnostic("uncoalesced", message, line.location, remedy)


# Limiter -> what makes less of its work.
_REMEDIES: Mapping[str, str] = {
    "issue": "execute fewer instructions: wider accesses, more work a thread, cheaper addresses, unrolled loops",
    "fma": "use tensor cores where the precision allows it; otherwise this is the pipe's rate",
    "fp16": "use tensor cores for products; otherwise this is the pipe's rate",
    "fp64": "this machine has few double-precision lanes: use single precision where the result allows it",
    "alu": "fewer integer, logic and comparison instructions: hoist addresses, use immediate offsets",
    "imad": "fewer integer products: hoist addresses out of the loop, use immediate offsets",
    "mufu": "fewer transcendentals and conversions: polynomials on the FMA pipe, exp2 in place of exp",
    "tensor": "this is the tensor cores' rate: only a narrower type makes it faster",
    "shared": "fewer passes through shared memory: larger tiles in registers, 16-byte accesses, ldmatrix",
    "l1": "fewer or wider global accesses: 16 bytes a lane, tiles in shared memory, fewer lines a request",
    "l2": "larger tiles, so that each byte is fetched by fewer CTAs; multicast within a cluster where there is one",
    "dram": "move fewer bytes: fuse kernels, narrower types, blocks of CTAs that share what they read",
    "uniform": "fewer uniform-datapath instructions in the loop: hoist descriptors and addresses",
}
_STALL_REMEDIES: Mapping[str, str] = {
    "long_scoreboard": "start loads earlier: software pipelining, asynchronous copies, more bytes in flight a thread",
    "short_scoreboard": "put independent work between shared-memory accesses or transcendentals and their use",
    "wait": "more independent instructions a warp, or more warps: dependent instructions follow each other",
    "barrier": "smaller CTAs or fewer barriers: warps wait for the slowest",
    "mio_throttle": "fewer or wider shared-memory accesses and shuffles",
    "lg_throttle": "fewer or wider global accesses",
    "math_pipe_throttle": "another pipe for part of the arithmetic",
    "gmma": "more products in flight before they are waited for",
    "membar": "fewer or narrower fences",
    "no_instruction": "a shorter loop body: less unrolling",
    "sleeping": "shorter sleeps between polls",
}


def _limited(e: Evidence) -> Iterator[Diagnostic]:
    if e.limiter in _REMEDIES and e.busy.get(e.limiter, 0.0) >= FULL_SHARE:
        yield Diagnostic(
            "limited-by-unit", f"{e.limiter} is {e.busy[e.limiter]:.0%} busy and limits the kernel",
            remedy=_REMEDIES[e.limiter],
        )  # fmt: skip


def _refetched(e: Evidence) -> Iterator[Diagnostic]:
    if e.busy.get("dram", 0.0) >= FULL_SHARE and e.unique_bytes and e.dram_bytes > _REFETCHED * e.unique_bytes:
        message = (
            f"DRAM moves {e.dram_bytes / 1e6:.4g} MB, {e.dram_bytes / e.unique_bytes:.3g} times the "
            f"{e.unique_bytes / 1e6:.4g} MB that are touched"
        )
        yield Diagnostic("refetched", message, remedy="order CTAs so that those that run together share what they read")


def _low_issue(e: Evidence) -> Iterator[Diagnostic]:
    issue = e.busy.get("issue", 0.0)
    if e.limiter != "latency" or issue >= _LOW_ISSUE or not e.stall:
        return
    worst = max(e.lines, key=lambda line: line.by_stall.get(e.stall, 0.0), default=None)
    share = e.stalls.get(e.stall, 0.0)
    message = f"no unit is full and {issue:.0%} of issue slots are used: {share:.0%} of stalls are {e.stall}"
    place = worst.location if worst and worst.location.file and worst.by_stall.get(e.stall) else None
    where = f", most of them at {_short(worst)}" if place and worst else ""
    yield Diagnostic("latency-bound", message + where, place, _STALL_REMEDIES.get(e.stall, ""))


def _by_registers(e: Evidence) -> Iterator[Diagnostic]:
    registers = e.footprint.registers
    found = _more(e, (replace(e.footprint, registers=n) for n in range(registers - 1, 15, -1)), "registers")
    if found:
        smaller, ctas = found
        message = (
            f"{registers} registers a thread allow {e.resident} CTAs an SM; {smaller.registers} would allow {ctas}"
        )
        remedy = "smaller tiles in registers, or a launch bound (`__launch_bounds__`, `maxnreg`) if it does not spill"
        yield Diagnostic("occupancy-registers", message, remedy=remedy)


def _by_smem(e: Evidence) -> Iterator[Diagnostic]:
    smem = e.footprint.smem_bytes
    sizes = (replace(e.footprint, smem_bytes=n) for n in range(smem - smem % 128, -1, -128))
    found = _more(e, sizes, "shared memory")
    if found:
        smaller, ctas = found
        message = f"{smem} B of shared memory allow {e.resident} CTAs an SM; {smaller.smem_bytes} B would allow {ctas}"
        yield Diagnostic("occupancy-smem", message, remedy="smaller tiles or fewer stages")


def _more(e: Evidence, smaller: Iterator[Footprint], resource: str) -> tuple[Footprint, int] | None:
    """The largest footprint with which an SM holds more CTAs, where more warps may help and this resource is short."""
    held = occupancy(e.footprint, e.machine)
    # More warps hide latencies; they do not help a unit that is full.
    is_full = max(e.busy.values(), default=0.0) >= _FULL
    if held.limiter != resource or held.share >= _LOW_OCCUPANCY or is_full:
        return None
    for footprint in smaller:
        ctas = occupancy(footprint, e.machine).ctas
        if ctas > held.ctas:
            return footprint, ctas
    return None


def _tail(e: Evidence) -> Iterator[Diagnostic]:
    slots = e.sms * e.resident
    waves = e.ctas / slots
    full = -(-e.ctas // slots)
    lost = 1.0 - waves / full
    if 1.0 < waves < _MANY_WAVES and lost >= _LONG_TAIL:
        last = e.ctas - (full - 1) * slots
        message = f"{waves:.3g} waves take the time of {full}: the last has {last} CTAs for {slots} places"
        yield Diagnostic("tail", message, remedy="other tile sizes, a persistent kernel, or splitting the last tiles")


def _small_grid(e: Evidence) -> Iterator[Diagnostic]:
    if e.ctas < e.sms:
        message = f"{e.ctas} CTAs leave {e.sms - e.ctas} of {e.sms} SMs without work"
        yield Diagnostic("small-grid", message, remedy="smaller tiles, or split the reduction among CTAs")


def _launch(e: Evidence) -> Iterator[Diagnostic]:
    if e.launch_share >= _LONG_LAUNCH:
        message = f"{e.launch_share:.0%} of the time is the launch itself"
        yield Diagnostic("launch-bound", message, remedy="fuse it with its neighbours, or launch them as one graph")


def _cta_rate(e: Evidence) -> Iterator[Diagnostic]:
    if e.cta_rate_share >= 1.0 - _LONG_TAIL:
        message = f"starting {e.ctas} CTAs takes {e.cta_rate_share:.0%} of the time"
        yield Diagnostic("cta-rate", message, remedy="more work a CTA, or a persistent kernel")


def _spills(e: Evidence) -> Iterator[Diagnostic]:
    if e.spill_bytes:
        message = f"registers do not suffice: {e.spill_bytes} B a thread are spilled to local memory"
        yield Diagnostic(
            "spills", message, remedy="smaller tiles in registers, more warps a tile, a larger launch bound"
        )


def _short(line: SourceLine) -> str:
    """The file without its folders: the whole place goes with the finding."""
    return f"{PurePath(line.location.file).name}:{line.location.line}" if line.location.file else "unknown lines"


RULES: tuple[Rule, ...] = (
    Rule("launch-bound", "the launch takes a large part of the time", _launch),
    Rule("small-grid", "fewer CTAs than SMs", _small_grid),
    Rule("cta-rate", "the chip starts CTAs no faster", _cta_rate),
    Rule("limited-by-unit", "one unit is full", _limited),
    Rule("latency-bound", "no unit is full: what warps wait for, and where", _low_issue),
    Rule("bank-conflicts", "passes through shared memory beyond what the width needs, by line", _conflicts),
    Rule("uncoalesced", "sectors beyond what the threads ask for, by line", _uncoalesced),
    Rule("refetched", "DRAM moves the same bytes several times", _refetched),
    Rule("occupancy-registers", "registers keep warps away that would hide latencies", _by_registers),
    Rule("occupancy-smem", "shared memory keeps them away", _by_smem),
    Rule("tail", "the last wave of CTAs is small", _tail),
    Rule("spills", "registers are spilled", _spills),
)
