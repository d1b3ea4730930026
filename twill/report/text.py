"""Lines that the plain reports share: the headline of a schedule, and the answer where there is none."""

from __future__ import annotations

from ir.schedule import Level, Schedule, Status
from twill.explain.interval import rejection_text, rejections_of
from twill.explain.words import plural

MEANING = {
    Status.OPTIMAL: "optimal: every level is proven",
    Status.FEASIBLE: "feasible: valid, not every level is proven",
    Status.INFEASIBLE: "infeasible: proven that there is no schedule",
    Status.TIMEOUT: "timeout: no answer in time, which proves nothing",
}
LEVEL_NAMES = {"ii": "II", "length": "length", "groups": "warp groups", "crossings": "edges across groups"}


def headline(schedule: Schedule) -> list[str]:
    """Kernel, machine and status; then II, length, stages and groups where there are any."""
    kind = "joint" if schedule.joint else "modulo"
    lines = [f"{schedule.graph.name} on {schedule.machine.name}: {kind} schedule, {schedule.status}"]
    if not schedule.found:
        return lines
    numbers = [
        f"II {plural(schedule.ii_cycles or 0, 'cycle')} (bound {schedule.lower_bound_cycles})",
        f"length {plural(schedule.length_cycles or 0, 'cycle')}",
        plural(schedule.stages, "stage"),
    ]
    if schedule.joint:
        numbers.append(plural(len({p.group for p in schedule.placements}), "warp group"))
    return [*lines, ", ".join(numbers) + " (modelled)"]


def negative(schedule: Schedule) -> str:
    """What there is to say without placements: status, message, bound, conflict, refuted intervals."""
    lines = [*headline(schedule), MEANING[schedule.status]]
    lines += [schedule.message] if schedule.message else []
    if schedule.lower_bound_cycles:
        lines += [f"proven so far: II is at least {schedule.lower_bound_cycles} cycles (modelled)"]
    if schedule.conflict:
        lines += [f"conflict: {schedule.conflict.message}", f"families: {', '.join(schedule.conflict.families)}"]
        lines += [f"would help: {text}" for text in schedule.conflict.relaxations]
    lines += [rejection_text(r) for r in rejections_of(schedule)]
    return "\n".join(lines) + "\n"


def level_text(level: Level) -> str:
    """One level of the objective, and whether it is proven.

    >>> level_text(Level("ii", 3, 2, "cp-sat"))
    'II 3, not proven: at least 2 (cp-sat)'
    """
    least = f": at least {level.lower_bound}" if level.lower_bound > 0 else ""
    proof = "proven" if level.proven else f"not proven{least}"
    return f"{LEVEL_NAMES[level.name]} {level.value}, {proof} ({level.method})"


def tail(detail: str) -> str:
    """Detail in brackets, nothing where there is none."""
    return f" ({detail})" if detail else ""
