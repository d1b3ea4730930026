"""Progress of a run on stderr: one live line on a terminal, else a plain line for each improvement; silent with -q."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ir.diagnostics import Diagnostic
    from optiml.api import Watcher
    from optiml.search.driver import Told
    from optiml.verdict import Metrics

Show = Callable[[str], None]


@contextmanager
def watching(quiet: bool, evaluations: int | None) -> Iterator[Watcher]:
    """A watcher that shows where the run is."""
    from optiml.api import Watcher

    if quiet:
        yield Watcher(warning=_warn)
    elif sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("") as status:
            lines = _Lines(status.update, is_live=True, budget=evaluations)
            yield Watcher(lines.stage, lines.step, _warn)
    else:
        lines = _Lines(lambda line: print(line, file=sys.stderr, flush=True), is_live=False, budget=evaluations)
        yield Watcher(lines.stage, lines.step, _warn)


def _warn(problem: Diagnostic) -> None:
    """Not silent with -q: the run does without something."""
    print(problem.render("warning"), file=sys.stderr, flush=True)


@dataclass
class _Lines:
    """Writes lines from what it is told; a live one for each step, a lasting one for improvements alone."""

    show: Show
    is_live: bool
    budget: int | None
    best: float = 1.0
    passed: int = 0

    def stage(self, line: str) -> None:
        self.show(line)

    def step(self, told: Told, baseline: Metrics) -> None:
        time_us = told.result.verdict.time_us
        self.passed += time_us is not None
        speedup = baseline.time_us / time_us if time_us else 0.0
        is_better = speedup > self.best
        self.best = max(self.best, speedup)
        if self.is_live or is_better:
            self.show(self._line(told, baseline.kind, time_us))

    def _line(self, told: Told, kind: str, time_us: float | None) -> str:
        came_to = f"{time_us:.4g} us" if time_us else str(told.result.verdict.status)
        of = "" if self.budget is None else f"/{self.budget}"
        counted = f"{told.evaluations}{of} evaluated, {self.passed} passed"
        return f"{counted}; best {self.best:.2f}x ({kind}); {told.step.edit.tag}: {came_to}"
