"""Measure the exact modulo scheduler on a file of instances: time to prove the smallest II, each result verified.

    python bench/modulo.py --instances loops.json [--time-limit 60] [--length] [--json]

The format of the file is that of `twill.solve.modulo_instance`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import UserError
from ir.schedule import Level, Schedule
from twill.problem.problem import Problem
from twill.problem.verify import verify
from twill.solve.modulo import solve_modulo
from twill.solve.modulo_instance import read_instances
from twill.solve.protocol import Limits


@dataclass(frozen=True)
class Row:
    """One instance: ops, the two levels as reached and proven (0 without a schedule), time, what the verifier says."""

    name: str
    ops: int
    status: str
    ii_cycles: int
    ii_bound_cycles: int
    length_cycles: int
    length_bound_cycles: int
    time_s: float
    faults: tuple[str, ...]

    @property
    def ii_proven(self) -> bool:
        """True where II meets its bound."""
        return self.ii_cycles == self.ii_bound_cycles

    @property
    def length_proven(self) -> bool:
        """True where both levels meet their bounds."""
        return self.ii_proven and self.length_cycles == self.length_bound_cycles


def measure(problem: Problem, limits: Limits, levels: Sequence[str]) -> Row:
    """Solve and verify one instance."""
    schedule = solve_modulo(problem, limits, levels)
    length = _level(schedule, "length")
    return Row(
        problem.graph.name,
        len(problem.graph.ops),
        str(schedule.status),
        schedule.ii_cycles or 0,
        schedule.lower_bound_cycles,
        length.value if length else 0,
        length.lower_bound if length else 0,
        schedule.timing["total_s"],
        tuple(fault.render() for fault in verify(schedule, problem)),
    )


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts and times in seconds over all instances, and the rows left open."""
    times = sorted(row.time_s for row in rows)
    return {
        "instances": len(rows),
        "ii_proven": sum(row.ii_proven for row in rows),
        "length_proven": sum(row.length_proven for row in rows),
        "faulty": [row.name for row in rows if row.faults],
        "total_s": sum(times),
        "median_s": statistics.median(times),
        "p95_s": times[min(len(times) - 1, len(times) * 95 // 100)],
        "max_s": times[-1],
        "open": [asdict(row) for row in rows if not row.ii_proven],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary; exit code 1 where the verifier finds a fault in any result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=Path, required=True, help="JSON file of instances")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each instance")
    parser.add_argument("--workers", type=int, default=2, help="search threads")
    parser.add_argument("--length", action="store_true", help="minimise the length too")
    parser.add_argument("--json", action="store_true", help="print all rows as JSON")
    options = parser.parse_args(arguments)
    levels = ("ii", "length") if options.length else ("ii",)
    try:
        problems = read_instances(options.instances)
    except UserError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    rows = [measure(problem, Limits(options.time_limit, options.workers), levels) for problem in problems]
    found = summary(rows)
    print(
        json.dumps({**found, "rows": [asdict(row) for row in rows]}, indent=1) if options.json else _text(found, rows)
    )
    return 1 if found["faulty"] else 0


def _level(schedule: Schedule, name: str) -> Level | None:
    return next((level for level in schedule.certificate.levels if level.name == name), None)


def _text(found: Mapping[str, Any], rows: Sequence[Row]) -> str:
    count = found["instances"]
    lines = [
        f"{count} loops, II proven for {found['ii_proven']}, length too for {found['length_proven']}",
        "time: total {total_s:.2f} s, median {median_s:.4f} s, p95 {p95_s:.3f} s, max {max_s:.2f} s".format(**found),
        f"verified: {len(rows) - sum(bool(row.faults) for row in rows)} of {count}",
    ]
    for row in rows:
        if not row.ii_proven:
            lines.append(f"open: {row.name}, II {row.ii_bound_cycles}..{row.ii_cycles or '?'} after {row.time_s:.1f} s")
        lines.extend(f"FAULT in {row.name}: {fault}" for fault in row.faults)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
