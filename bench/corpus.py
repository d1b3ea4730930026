"""Schedule every loop of a corpus of Triton kernels: this project's own, Liger Kernel's, flash-linear-attention's.

    python bench/corpus.py [--package kernels] [--machine h100] [--limit-s 30] [--out FILE] [--slice 0:50] [--json]

Results are appended to a file of JSON lines, one kernel a line; kernels that are in it already are not run again. Each
innermost loop goes through frontend, lowering, solver and verifier, and ends as optimal, feasible, infeasible, timeout,
refused (with the rule), or internal (a defect). Exit code 4 where a package is not installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from corpus_packages import PACKAGES, SHIPPED, Broken, sources  # noqa: E402
from corpus_run import KernelRecord, measure  # noqa: E402

from ir.diagnostics import UserError  # noqa: E402

SCHEMA_VERSION = 1
STATUSES = ("optimal", "feasible", "infeasible", "timeout", "refused", "internal")


@dataclass(frozen=True)
class Summary:
    """Counts of one package; times in seconds for each loop, lowering and verification included."""

    package: str
    kernels: int
    compiled: int
    loops: int
    statuses: dict[str, int]
    reasons: dict[str, int]
    median_s: float | None
    p95_s: float | None

    @property
    def scheduled(self) -> float:
        """Part of the loops that have a verified schedule, 0 to 1."""
        return (self.statuses["optimal"] + self.statuses["feasible"]) / max(1, self.loops)

    @property
    def optimal(self) -> float:
        """Part of the loops whose schedule is proven optimal."""
        return self.statuses["optimal"] / max(1, self.loops)

    def as_json(self) -> dict[str, Any]:
        """Plain data; rates as parts of 1."""
        return {
            **self.__dict__,
            "scheduled_fraction": round(self.scheduled, 4),
            "optimal_fraction": round(self.optimal, 4),
        }


def summarize(package: str, records: Sequence[KernelRecord]) -> Summary:
    """Counts and times of the records of one package."""
    loops = [loop for record in records for loop in record.loops]
    statuses = Counter(loop.status for loop in loops)
    reasons = Counter(f"{loop.status}: {loop.rule}" for loop in loops if loop.status not in ("optimal", "feasible"))
    reasons.update(f"not compiled: {record.rule}" for record in records if not record.compiled)
    times = sorted(loop.time_s for loop in loops)
    return Summary(
        package=package,
        kernels=len(records),
        compiled=sum(record.compiled for record in records),
        loops=len(loops),
        statuses={status: statuses[status] for status in STATUSES},
        reasons=dict(reasons.most_common()),
        median_s=round(statistics.median(times), 3) if times else None,
        p95_s=round(times[min(len(times) - 1, int(0.95 * len(times)))], 3) if times else None,
    )


def table(summaries: Sequence[Summary]) -> str:
    """One line for each package, then the reasons."""
    head = f"{'package':<24}{'kernels':>8}{'compiled':>9}{'loops':>6}" + "".join(f"{s:>11}" for s in STATUSES)
    lines = [f"{head}{'median':>9}{'p95':>9}"]
    for s in summaries:
        counts = "".join(f"{s.statuses[status]:>11}" for status in STATUSES)
        times = "".join(f"{'-' if t is None else f'{t:.2f} s':>9}" for t in (s.median_s, s.p95_s))
        lines.append(f"{s.package:<24}{s.kernels:>8}{s.compiled:>9}{s.loops:>6}{counts}{times}")
    for s in summaries:
        lines.append(f"\n{s.package}: {s.scheduled:.1%} of the loops scheduled, {s.optimal:.1%} proven optimal")
        lines += [f"  {count:>4}  {reason}" for reason, count in s.reasons.items()]
    return "\n".join(lines)


def read_records(path: Path) -> list[KernelRecord]:
    """What earlier runs have written; a line cut short by an interruption is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [KernelRecord.from_json(data) for line in lines if (data := _whole(line)) is not None]


def _whole(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except json.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def run(package: str, options: argparse.Namespace) -> tuple[list[KernelRecord], list[Broken]]:
    """Measure the kernels of a package that the file has not yet."""
    found, broken = sources(package)
    first, _, last = options.slice.partition(":")
    wanted = found[int(first or 0) : int(last) if last else None]
    path = Path(options.out)
    done = {r.kernel: r for r in read_records(path) if _same(r, package, options)}
    for number, source in enumerate(wanted, 1):
        if source.name in done:
            continue
        record = done[source.name] = measure(source, options.machine, options.limit_s)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record.as_json()) + "\n")
        print(f"{number}/{len(wanted)} {record.kernel}: {_line(record)}", file=sys.stderr, flush=True)
    return [done[source.name] for source in wanted], broken


def _same(record: KernelRecord, package: str, options: argparse.Namespace) -> bool:
    return (record.package, record.machine, record.limit_s) == (package, options.machine, options.limit_s)


def _line(record: KernelRecord) -> str:
    if not record.compiled:
        return f"not compiled ({record.rule}: {record.message})"
    return ", ".join(f"{r.loop} {r.status} {r.rule}".rstrip() for r in record.loops) or "no loop"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Schedule every loop of a corpus of Triton kernels.")
    parser.add_argument("--package", action="append", help=f"{SHIPPED}, {', '.join(PACKAGES)}; all by default")
    parser.add_argument("--machine", default="h100")
    parser.add_argument("--limit-s", type=float, default=30.0, help="solver's time limit for each loop")
    parser.add_argument("--out", default="corpus.jsonl", help="file of JSON lines to append to and to go on from")
    parser.add_argument("--slice", default="", help="FIRST:LAST of each package's kernels")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code."""
    options = _options(arguments)
    try:
        results = {package: run(package, options) for package in options.package or (SHIPPED, *PACKAGES)}
    except UserError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    summaries = [summarize(package, records) for package, (records, _) in results.items()]
    broken = [b for _, modules in results.values() for b in modules]
    print(json.dumps(_as_json(summaries, broken), indent=2) if options.json else _text(summaries, broken))
    return 0


def _as_json(summaries: Iterable[Summary], broken: Iterable[Broken]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "packages": [s.as_json() for s in summaries],
        "modules_not_imported": [b.__dict__ for b in broken],
    }


def _text(summaries: Sequence[Summary], broken: Sequence[Broken]) -> str:
    reasons = Counter((b.package, b.reason) for b in broken)
    lines = [f"{count} modules of {package} cannot be imported: {why}" for (package, why), count in reasons.items()]
    return "\n".join([table(summaries), *lines])


if __name__ == "__main__":
    sys.exit(main())
