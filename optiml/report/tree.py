"""The search as a tree: each step below the program that it changed, each program once, the best one's way marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optiml.report.words import ratio_text
from optiml.store.reading import Reading
from optiml.store.store import StepRow
from optiml.verdict import Verdict
from twill.report.numbers import time_text


@dataclass(frozen=True)
class Branch:
    """A step as the tree shows it.

    known: the number of the step that found the same program first, `baseline`, or empty for a new one. speedup: over
    the baseline, None for a failure. is_on_way: on the way to the best program.
    """

    step: StepRow
    verdict: Verdict
    known: str
    speedup: float | None
    is_on_way: bool
    below: int

    @property
    def came_to(self) -> str:
        """Time and speed-up, or how it failed."""
        time_us = self.verdict.time_us
        if time_us is None or self.speedup is None:
            return str(self.verdict.status).replace("-", " ")
        return f"{time_text(time_us)}, {ratio_text(self.speedup)}"


@dataclass(frozen=True)
class Mark:
    """What comes next in the text of a tree: `open` a branch with some below it, a `leaf`, or `close` the last one."""

    kind: str
    branch: Branch | None = None


def tree(reading: Reading) -> Iterator[Mark]:
    """The tree in the order of its text, of any depth."""
    children, first = _children(reading), _first(reading)
    way = {s.number for s in reading.way(reading.best or "")}
    stack = [Mark("step", b) for b in _branches(reading, reading.root or "", children, first, way)]
    while stack:
        mark = stack.pop()
        branch = mark.branch
        if branch is None:
            yield mark
        elif branch.below:
            yield Mark("open", branch)
            stack.append(Mark("close"))
            stack += [Mark("step", b) for b in _branches(reading, branch.step.key, children, first, way)]
        else:
            yield Mark("leaf", branch)


def _children(reading: Reading) -> dict[str, list[StepRow]]:
    found: dict[str, list[StepRow]] = {}
    for step in reading.steps:
        found.setdefault(step.parent, []).append(step)
    return found


def _first(reading: Reading) -> dict[str, str]:
    """Program -> the step that found it, by its number; the baseline is the root."""
    found = {s.key: str(s.number) for s in reversed(reading.steps)}
    return found | ({reading.root: "baseline"} if reading.root else {})


def _branches(
    reading: Reading, key: str, children: dict[str, list[StepRow]], first: dict[str, str], way: set[int]
) -> list[Branch]:
    """Last first, as a stack wants them."""
    found = []
    for step in reversed(children.get(key, [])):
        verdict = reading.verdicts[step.key]
        known = first[step.key] if first[step.key] != str(step.number) else ""
        below = 0 if known else len(children.get(step.key, []))
        time_us, base_us = verdict.time_us, reading.baseline_us
        speedup = base_us / time_us if time_us and base_us else None
        found.append(Branch(step, verdict, known, speedup, step.number in way, below))
    return found
