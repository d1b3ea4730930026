"""Plants bugs in the PTX of real kernels and counts which of them the sanitizer finds: kernel, bug, rule, output right.

    python bench/sanitizer.py [--only NAME] [--each N] [--completion late] [--json FILE]

`--each`: bugs per rule and kernel, spread over the places where they can be planted. Exit status 1 if a bug is missed
that is none of `bench/harmless.toml`, or if a correct kernel has a finding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from backends.run.outcome import Outcome, Status
from bench.mutations import Mutation, mutations
from bench.sanitizer_cases import SUBJECTS, Prepared, prepare

HARMLESS = Path(__file__).with_name("harmless.toml")
_LIMIT_S = 30.0
# A bug of the arithmetic or of what is copied, which nothing but the comparison with the reference can find.
_COMPARISON = "wrong-result"
_RIGHT = (Status.PASSED, Status.FINDINGS)


@dataclass(frozen=True)
class Verdict:
    """What became of one planted bug. `found_by`: rules of the findings, or of the fault; empty for nothing found."""

    kernel: str
    bug: str
    line: int
    instruction: str
    found_by: tuple[str, ...]
    output: str
    why_harmless: str
    seconds: float

    @property
    def is_missed(self) -> bool:
        """Nothing was found, and nobody has explained why nothing is wrong."""
        return not self.found_by and not self.why_harmless


def judged(
    prepared: Prepared, mutation: Mutation, completion: str, harmless: dict[tuple[str, str], str],
    warnings: frozenset[str],
) -> Verdict:  # fmt: skip
    """Run one planted bug under all checks; `warnings`: those that the kernel has without it."""
    started = time.perf_counter()
    outcome = prepared.run(mutation.ptx, completion=completion, limit_s=_LIMIT_S)
    name = str(prepared.subject)
    return Verdict(
        name, mutation.rule, mutation.line, mutation.before, _rules(outcome, warnings), _output(outcome),
        harmless.get((name, str(mutation)), ""), time.perf_counter() - started,
    )  # fmt: skip


def _rules(outcome: Outcome, known: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Findings, faults, refusals, at last the comparison of results; a spent budget finds nothing, a typo neither.

    `known`: warnings that the kernel has as it is; they tell nothing of an edit.
    """
    found = [f.rule for f in outcome.findings if f.is_error or f.rule not in known]
    found += [_COMPARISON] if outcome.status == Status.WRONG_RESULT and not found else []
    if outcome.fault is not None and outcome.status not in (Status.TIMEOUT, Status.BUDGET_SPENT):
        found.append(outcome.fault.rule)
    return tuple(dict.fromkeys([*found, *(d.rule for d in outcome.diagnostics if not d.rule.startswith("ptx-"))]))


def _output(outcome: Outcome) -> str:
    if outcome.status in _RIGHT:
        return "right"
    return "wrong" if outcome.status == Status.WRONG_RESULT else "none"


def chosen(prepared: Prepared, each: int) -> Iterator[Mutation]:
    """At most `each` places of every rule, evenly spread, of the instructions that are executed."""
    for _, group in groupby(mutations(prepared.compiled.ptx), key=lambda m: m.rule):
        places = list(group)
        step = max(len(places) / each, 1.0)
        spread = [places[int(i * step)] for i in range(min(each, len(places)))]
        yield from (place for place in spread if _is_executed(prepared, place))


def _is_executed(prepared: Prepared, mutation: Mutation) -> bool:
    fault = prepared.run(mutation.probe, checks=("none",), limit_s=_LIMIT_S).fault
    return fault is not None and fault.rule == "trap"


def explained() -> dict[tuple[str, str], str]:
    """(kernel, bug) -> why it is harmless."""
    if not HARMLESS.exists():
        return {}
    entries = tomllib.loads(HARMLESS.read_text())["harmless"]
    return {(e["kernel"], bug): e["why"] for e in entries for bug in e["bugs"]}


def clean(prepared: Prepared) -> list[str]:
    """False alarms: what is found in the kernel as it is, under every order of completion."""
    found = []
    for completion in ("early", "late", "random"):
        outcome = prepared.run(prepared.compiled.ptx, completion=completion)
        if outcome.status != Status.PASSED:
            found.append(f"{prepared.subject}, {completion}: {outcome.status} {_rules(outcome)}")
    return found


def measured(only: str, each: int, completion: str) -> tuple[list[Verdict], list[str]]:
    """Verdicts of all planted bugs, and false alarms."""
    verdicts, alarms, harmless = [], [], explained()
    for subject in SUBJECTS:
        if only not in str(subject):
            continue
        prepared = prepare(subject)
        alarms += clean(prepared)
        warnings = frozenset(f.rule for f in prepared.run(prepared.compiled.ptx, completion=completion).findings)
        for mutation in chosen(prepared, each):
            verdict = judged(prepared, mutation, completion, harmless, warnings)
            verdicts.append(verdict)
            print(row(verdict), flush=True)
    return verdicts, alarms


def row(verdict: Verdict) -> str:
    """One line of the table."""
    found = ", ".join(verdict.found_by) or (f"harmless: {verdict.why_harmless}" if verdict.why_harmless else "MISSED")
    return f"{verdict.kernel:38} {verdict.bug:26} {verdict.line:5}  output {verdict.output:6} {found}"


def summary(verdicts: list[Verdict], alarms: list[str]) -> str:
    """The totals."""
    bugs = [v for v in verdicts if not v.why_harmless or v.found_by]
    found = [v for v in bugs if v.found_by]
    right = [v for v in found if v.output == "right"]
    first = Counter(v.found_by[0] for v in found)
    lines = [
        f"{len(bugs)} bugs in {len({v.kernel for v in bugs})} kernels: {len(found)} found,"
        f" {len(bugs) - len(found)} missed;"
        f" {len(right)} of those found left the output right; {len(verdicts) - len(bugs)} edits were harmless",
        "first found by: " + ", ".join(f"{rule} {count}" for rule, count in first.most_common()),
        f"{len(alarms)} false alarms",
        *alarms,
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="kernels whose name contains this")
    parser.add_argument("--each", type=int, default=2, help="bugs per rule and kernel")
    parser.add_argument("--completion", default="late", choices=("early", "late", "random"))
    parser.add_argument("--json", type=Path, help="write the verdicts here")
    options = parser.parse_args()
    verdicts, alarms = measured(options.only, options.each, options.completion)
    print(summary(verdicts, alarms))
    if options.json:
        options.json.write_text(json.dumps([asdict(v) for v in verdicts], indent=1))
    return int(bool(alarms) or any(v.is_missed for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
