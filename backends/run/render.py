"""Runs for people: a table, and each finding with its source line and a caret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backends.findings import Finding
from backends.run.interception import LaunchRecord
from backends.run.outcome import Comparison, Outcome
from ir.diagnostics import Diagnostic

INSTRUCTIONS = "smsp__inst_executed.sum"


def task_table(outcomes: Sequence[Outcome]) -> Any:
    """A rich table with a row for each run; of several outputs, the one nearest to its tolerance or furthest beyond."""
    from rich.table import Table

    table = Table("variant", "target", "size", "status")
    for column in ("error", "tolerance", "warp instructions", "time"):
        table.add_column(column, justify="right")
    for o in outcomes:
        worst = _nearest(o.comparisons)
        size = " ".join(f"{name}={value}" for name, value in o.sizes.items())
        numbers = (_number(worst.error), _number(worst.tolerance)) if worst else ("", "")
        cells = (o.variant or "-", o.target, size, o.status, *numbers)
        table.add_row(*cells, *_cost(o))
    return table


def _cost(outcome: Outcome) -> tuple[str, str]:
    """What is known of a run's cost: instructions and this machine's time, or the GPU's."""
    measured = outcome.timing.measured
    if measured is None:
        return _instructions(outcome.counters), f"{outcome.timing.run_s:.2f} s"
    return "", f"{measured.median_us:.1f} us ±{measured.spread / 2:.0%}, measured"


def launch_table(launches: Sequence[LaunchRecord]) -> Any:
    """A rich table with a row for each launch of a script."""
    from rich.table import Table

    table = Table("kernel", "grid", "tensors", "status")
    for column in ("warp instructions", "time"):
        table.add_column(column, justify="right")
    for r in launches:
        shapes = " ".join(f"{name}={'x'.join(map(str, shape))}" for name, shape in r.shapes.items())
        cells = (r.kernel, "x".join(map(str, r.grid)), shapes, r.status)
        table.add_row(*cells, _instructions(r.counters), f"{r.timing.run_s:.2f} s")
    return table


def launch_details(launch: LaunchRecord) -> list[str]:
    """What is wrong with a launch, in words; empty for a clean one."""
    found = [finding_text(f) for f in (launch.fault, *launch.findings) if f is not None]
    return found + [d.render() for d in launch.diagnostics]


def details(outcome: Outcome) -> list[str]:
    """What is wrong with a run, in words; empty for one that passed."""
    lines = [finding_text(f) for f in (outcome.fault, *outcome.findings) if f is not None]
    lines += [d.render() for d in outcome.diagnostics]
    lines += [f"input `{name}` was overwritten" for name in outcome.overwritten]
    return lines + [line for c in outcome.comparisons if not c.passed for line in _wrong(c)]


def counter_lines(counters: Mapping[str, float]) -> list[str]:
    """Counters by Nsight Compute's names, one a line."""
    return [f"  {name:74} {value:>18,.6g}" for name, value in sorted(counters.items())]


def finding_text(finding: Finding) -> str:
    """A finding as a diagnostic at its source line, with the instruction, the threads and what it conflicts with."""
    site = finding.site
    place = (site.location or site.place) if site else None
    lines = [Diagnostic(finding.rule, finding.message, place).render(finding.severity)]
    if site:
        lines.append(f"  at `{site.text}`, {site.place}")
    if finding.thread:
        others = f" and {finding.count - 1} other threads" if finding.count > 1 else ""
        lines.append(f"  by {finding.thread}{others}")
    if finding.other:
        lines.append(f"  against {finding.other}")
    return "\n".join(lines)


def _wrong(comparison: Comparison) -> Iterator[str]:
    c = comparison
    allowed = f"tolerance {c.tolerance:.3g} of {c.scale:.6g}"
    yield f"output `{c.output}`: {c.wrong} of {c.elements} elements are wrong, {allowed}"
    for element in c.worst:
        index = ", ".join(map(str, element.index))
        yield f"  {c.output}[{index}] is {element.got:.8g}, expected {element.want:.8g}"


def _nearest(comparisons: Sequence[Comparison]) -> Comparison | None:
    return max(comparisons, key=_excess, default=None)


def _excess(comparison: Comparison) -> float:
    if comparison.error is None:
        return float("inf")
    return comparison.error / comparison.tolerance if comparison.tolerance else comparison.error


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.2e}"


def _instructions(counters: Any) -> str:
    return f"{counters[INSTRUCTIONS]:,.0f}" if INSTRUCTIONS in counters else ""
