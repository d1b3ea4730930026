"""The place where a whole kernel follows from a schedule: emitters by dialect and architecture.

An emitter writes the software pipeline itself (issue order, buffers, barriers, warp groups) as the source of a kernel
that takes the arguments of the original. None is there yet, so that `emitted` has nothing to offer; the proposer asks
it for every joint schedule that is proven, and offers what it gives beside the other edits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ir.loop import Kernel
from ir.schedule import Schedule
from optiml.candidate import Candidate

Emitter = Callable[[Schedule, Kernel, Candidate], Candidate]

# (dialect, architecture) -> the function that writes a kernel with such a schedule.
EMITTERS: Mapping[tuple[str, str], Emitter] = {}


def emitted(schedule: Schedule, kernel: Kernel, candidate: Candidate) -> Candidate | None:
    """The candidate rewritten so that its loop runs the schedule; None where there is no emitter for its machine."""
    emitter = EMITTERS.get((kernel.dialect, schedule.machine.architecture))
    return emitter(schedule, kernel, candidate) if emitter is not None else None
