"""Judge the performance model on published measurements: every table and ladder, predicted beside published.

    python -m bench.fidelity [--only SGEMM] [--box a6000] [--json FILE] [--write]

Tables of single instructions are run as microbenchmarks on the modelled device; ladders are kernels whose times were
published. --write stores the errors by class of kernel in backends/model/fidelity.json, which `twill profile` quotes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.model.modelled import Modelled
from backends.model.profiling import ProfileOptions, profile_task
from bench.fidelity_issue import issue_cycles
from bench.fidelity_published import KERNELS, Ladder, Rung, UnitTable, boxes, ladders, memory_issue, unit_tables
from bench.fidelity_score import Score, percentile, score
from bench.micro.measure import measure
from bench.micro.probe import Probe, each
from bench.micro.timer import ModelTimer
from ir.diagnostics import UserError
from ir.machine import Machine
from ir.task import load_task

STORED = Path(__file__).parents[1] / "backends" / "model" / "fidelity.json"
_QUICK = ProfileOptions(with_interval=False)


@dataclass(frozen=True)
class Entry:
    """A row of a table or a rung of a ladder. predicted is None where the model gives none; failure says why.

    unit: cycles or us. limiter: what the model names; expected: what may be named, where that was written down.
    """

    label: str
    published: float
    predicted: float | None
    failure: str = ""
    limiter: str = ""
    expected: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        """Predicted over published, less 1."""
        return None if self.predicted is None else self.predicted / self.published - 1


@dataclass(frozen=True)
class Result:
    """A table or a ladder with the model's predictions. counted: part of the class's error."""

    name: str
    box: str
    unit: str
    source: str
    kernel_class: str
    entries: tuple[Entry, ...]
    counted: bool
    noise: float | None = None
    within: float | None = None

    @property
    def score(self) -> Score | None:
        """Of the entries that were predicted; None where there is none."""
        known = [(e.predicted, e.published) for e in self.entries if e.predicted is not None]
        return score([p for p, _ in known], [m for _, m in known]) if known else None

    @property
    def limiters(self) -> tuple[int, int]:
        """How many of the limiters that were written down before are named, and how many were written down."""
        told = [e for e in self.entries if e.expected]
        return sum(e.limiter in e.expected for e in told), len(told)


def judge_units(table: UnitTable) -> Result:
    """A table of instructions, run as a microbenchmark on the modelled device."""
    timer = ModelTimer(table.box.machine)
    entries = tuple(_unit_entry(table, dict(row.constants), row.published, timer) for row in table.rows)
    return Result(
        table.name, table.box.name, "cycles", table.source, "instructions", entries, counted=False, within=table.within
    )


def _unit_entry(table: UnitTable, constants: Mapping[str, int], published: float, timer: ModelTimer) -> Entry:
    label = " ".join(f"{k}={v}" for k, v in constants.items()) or "-"
    # A loop whose overhead is not taken out has its steps in the work.
    work = table.work * (table.unrolls[0] if len(table.unrolls) == 1 else 1)
    probe = Probe(
        table.name, table.task, each, table.variant, {**table.constants, **constants},
        work=work, unrolls=table.unrolls, repeats=(4, 12),
    )  # fmt: skip
    [found] = measure([probe], timer, timer.machine.rates)
    return Entry(label, published, found.value, found.failure)


def judge_memory_issue() -> Result:
    """The cycle in which each load of a row of independent ones issues, out of the simulation's own record."""
    box = boxes()["a6000"]
    predicted = {key: cycle for active in range(1, 5) for key, cycle in issue_cycles(box.machine, active).items()}
    entries = tuple(
        Entry(f"{active} active, sub-core {core}, load {load}", cycle, predicted[active, core, load])
        for active, core, load, cycle in memory_issue()
    )
    source = "Huerta et al., MICRO 2025, table 1"
    return Result("memory issue", "a6000", "cycles", source, "instructions", entries, counted=False, within=0.0)


@dataclass
class Profiles:
    """Modelled times of rungs; boxes of one machine share them."""

    known: dict[Any, tuple[float | None, str, str]] = field(default_factory=dict)

    def of(self, rung: Rung, machine: Machine) -> tuple[float | None, str, str]:
        """Time in us or None, why there is none, and the limiter."""
        rates = frozenset(machine.rates.items())
        key = (rung.task, rung.variant, *(frozenset(d.items()) for d in (rung.sizes, rung.constants)), rates)
        if key not in self.known:
            self.known[key] = _profiled(rung, machine)
        return self.known[key]


def judge_ladder(ladder: Ladder, profiles: Profiles) -> Result:
    """A ladder, each rung profiled at its size."""
    entries = []
    for rung in ladder.rungs:
        time_us, failure, limiter = profiles.of(rung, ladder.box.machine)
        entries.append(Entry(rung.label, rung.published_us, time_us, failure, limiter, rung.limiters))
    return Result(
        ladder.name, ladder.box.name, "us", ladder.source, ladder.kernel_class, tuple(entries),
        counted=ladder.box.clocks_known, noise=ladder.noise,
    )  # fmt: skip


def _profiled(rung: Rung, machine: Machine) -> tuple[float | None, str, str]:
    task = load_task(KERNELS / rung.task)
    task = task.variant(rung.variant) if rung.variant else task
    task = replace(task, constants={**task.constants, **rung.constants})
    try:
        modelled: Modelled = profile_task(task, rung.sizes, machine, _QUICK)
    except UserError as error:
        return None, str(error).splitlines()[0], ""
    # The sources time kernels one after the other, so that a launch hides behind the one before.
    return modelled.time.cycles / modelled.clock_mhz, "", modelled.limits.limiter


def by_class(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Class of kernel -> mean absolute error, 90th percentile, worst in per cent, of all that is counted."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted({r.kernel_class for r in results if r.counted}):
        chosen = [r for r in results if r.kernel_class == name and r.counted]
        errors = [abs(e.error) for r in chosen for e in r.entries if e.error is not None]
        if errors:
            found[name] = {
                "error_percent": round(100 * statistics.fmean(errors), 1),
                "p90_percent": round(100 * percentile(errors, 0.9), 1),
                "worst_percent": round(100 * max(errors), 1),
                "measurements": len(errors),
                "sources": sorted({f"{r.name} on {r.box}: {r.source}" for r in chosen}),
            }
    return found


def report(results: Sequence[Result]) -> str:
    """Everything as text."""
    return "\n".join(line for result in results for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    yield f"\n{result.name} on {result.box} ({result.unit}; {result.source})"
    yield f"  {'':<34}{'predicted':>12}{'published':>12}{'error':>9}"
    for e in result.entries:
        shown = "-" if e.predicted is None else f"{e.predicted:.6g}"
        error = e.failure[:60] if e.error is None else f"{e.error:+.1%}"
        limiter = f"  {e.limiter}{'' if e.limiter in e.expected else ' instead of ' + ' or '.join(e.expected)}"
        yield f"  {e.label:<34}{shown:>12}{e.published:>12.6g}{error:>9}{limiter if e.expected else ''}"
    if found := result.score:
        yield "  " + _scored(result, found)


def _scored(result: Result, found: Score) -> str:
    parts = [f"mean error {found.mean:.1%}, 90th percentile {found.p90:.1%}, worst {found.worst:.1%}"]
    if found.spearman is not None and found.ratio_log2 is not None and result.unit == "us":
        parts.append(f"Spearman {found.spearman:.3f}, neighbours' ratios off by |log2| {found.ratio_log2:.2f}")
    if result.within is not None:
        parts.append(f"asked for: within {result.within:.0%}")
    if result.noise is not None:
        parts.append(f"two boxes differ by up to {result.noise:.1%}")
    if not result.counted and result.unit == "us":
        parts.append("clock unknown, so judged by ratios alone")
    named, told = result.limiters
    if told:
        parts.append(f"{named} of {told} limiters as written down before")
    return "; ".join(parts)


def document(results: Sequence[Result]) -> dict[str, Any]:
    """The same for a program."""
    rows = [{**asdict(r), "score": asdict(r.score) if r.score else None, "limiters": r.limiters} for r in results]
    return {"schema_version": 1, "classes": by_class(results), "results": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tables and ladders whose names contain this")
    parser.add_argument("--box", default="", help="one box")
    parser.add_argument("--json", type=Path, help="file for the whole report")
    parser.add_argument("--write", action="store_true", help=f"store the errors by class in {STORED.name}")
    options = parser.parse_args(arguments)
    if options.write and (options.only or options.box):
        parser.error("--write stores the errors of all ladders, so it goes without --only and --box")
    results = []
    for result in _judged(options.only, options.box):
        results.append(result)
        print(report([result]), flush=True)
    for name, errors in by_class(results).items():
        print("{}: mean error {error_percent} %, p90 {p90_percent} %, of {measurements}".format(name, **errors))
    if options.json:
        options.json.write_text(json.dumps(document(results), indent=1) + "\n", encoding="utf-8")
    if options.write:
        stored = {"schema_version": 1, "classes": by_class(results)}
        STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _judged(only: str, box: str) -> Iterator[Result]:
    def wanted(name: str, on: str) -> bool:
        return only in name and box in ("", on)

    for table in (t for t in unit_tables() if wanted(t.name, t.box.name)):
        yield judge_units(table)
    if wanted("memory issue", "a6000"):
        yield judge_memory_issue()
    profiles = Profiles()
    for ladder in (one for one in ladders() if wanted(one.name, one.box.name)):
        yield judge_ladder(ladder, profiles)


if __name__ == "__main__":
    sys.exit(main())
