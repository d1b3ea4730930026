"""The line-level view: what each source line executes, moves and waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from backends.model.report.facts import Facts
from backends.sass.instruction import Instruction
from ir.diagnostics import Location

_NOWHERE = Location("")


@dataclass(frozen=True)
class SourceLine:
    """One line, or what has none (`location.file` is then empty); counts are of the whole grid.

    instructions: executed by warps, of the machine's. global_sectors and shared_wavefronts beside what the same
    accesses would need at best. stall_share: of all warp-cycles of stalls; stall: the state that most of these are in,
    None where there are none. by_stall: the parts of that share.
    """

    location: Location
    text: str | None
    machine_instructions: int
    instructions: float
    instruction_share: float
    global_requests: float
    global_sectors: float
    global_sectors_ideal: float
    l1_hit_share: float | None
    l2_hit_share: float | None
    shared_requests: float
    shared_wavefronts: float
    shared_wavefronts_ideal: float
    stall_share: float
    stall: str | None
    by_stall: Mapping[str, float]

    @property
    def sectors_per_request(self) -> float | None:
        """32-byte sectors of a warp's access, None without accesses."""
        return self.global_sectors / self.global_requests if self.global_requests else None

    @property
    def ideal_sectors_per_request(self) -> float | None:
        """The same if what the threads want were adjacent."""
        return self.global_sectors_ideal / self.global_requests if self.global_requests else None


def source_lines(facts: Facts) -> tuple[SourceLine, ...]:
    """Every line that has machine code, in the order of files and lines; what has no line comes last."""
    own = facts.modelled.source_file
    members: dict[Location, list[int]] = defaultdict(list)
    for instruction in facts.function.instructions:
        members[line_of(instruction, own)].append(instruction.index)
    texts = {name: text.splitlines() for name, text in facts.modelled.compiled.sources.items()}
    order = sorted(members, key=lambda place: (not place.file, place.file, place.line))
    return tuple(_line(facts, place, members[place], _text(place, texts)) for place in order)


def line_of(instruction: Instruction, own: str) -> Location:
    """The line that an instruction belongs to: the innermost one in the kernel's own file, else the innermost."""
    places = [p for p in (instruction.location, *instruction.inlined_at) if p is not None]
    mine = (p for p in places if PurePath(p.file).name == PurePath(own).name)
    place = next(mine, places[0] if places else _NOWHERE)
    return Location(place.file, place.line)


def _line(facts: Facts, place: Location, members: Sequence[int], text: str | None) -> SourceLine:
    def total(column: np.ndarray) -> float:
        return float(column[members].sum())

    far = facts.mask(space="global") + facts.mask(space="local")
    stalls = {name: total(column) / max(facts.stall_cycles.sum(), 1.0) for name, column in facts.stalls.items()}
    stalls = {name: share for name, share in sorted(stalls.items(), key=lambda item: -item[1]) if share > 0}
    sectors, l2 = total(facts.sectors), total(facts.l2_sectors)
    return SourceLine(
        location=place,
        text=text,
        machine_instructions=len(members),
        instructions=total(facts.executions),
        instruction_share=total(facts.executions) / max(facts.executions.sum(), 1.0),
        global_requests=total(facts.requests * far),
        global_sectors=sectors,
        global_sectors_ideal=total(facts.ideal_sectors),
        l1_hit_share=total(facts.l1_hits) / sectors if sectors else None,
        l2_hit_share=total(facts.l2_hits) / l2 if l2 else None,
        shared_requests=total(facts.requests * facts.mask(space="shared")),
        shared_wavefronts=total(facts.wavefronts),
        shared_wavefronts_ideal=total(facts.ideal_wavefronts),
        stall_share=sum(stalls.values()),
        stall=next(iter(stalls), None),
        by_stall=stalls,
    )


def _text(place: Location, texts: Mapping[str, Sequence[str]]) -> str | None:
    lines = texts.get(place.file) or next(
        (found for name, found in texts.items() if PurePath(name).name == PurePath(place.file).name), ()
    )
    return lines[place.line - 1] if 0 < place.line <= len(lines) else None
