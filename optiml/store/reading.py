"""A run as a reader sees it: settings, baseline, every step with its verdict, the way to each program, the best one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from optiml.candidate import Candidate
from optiml.propose.exchange import Exchange
from optiml.store.store import StepRow, Store
from optiml.verdict import Metrics, Verdict


@dataclass(frozen=True)
class Comparison:
    """The baseline and a program at the same sizes; is_confirmed: both examined again, with fresh inputs."""

    before: Metrics
    after: Metrics
    is_confirmed: bool

    @property
    def speedup(self) -> float:
        """The baseline's time over the program's."""
        return self.before.time_us / self.after.time_us


@dataclass(frozen=True)
class Reading:
    """What a file says now; a run may still be going on.

    verdicts: of the search, by key, the baseline's among them. confirmed: of the second examination. root: the
    baseline's key, None before it was evaluated. candidates: by key, those that were evaluated. exchanges: calls of
    models in order.
    """

    path: Path
    facts: Mapping[str, Any]
    root: str | None
    steps: tuple[StepRow, ...]
    verdicts: Mapping[str, Verdict]
    confirmed: Mapping[str, Verdict]
    candidates: Mapping[str, Candidate]
    exchanges: tuple[Exchange, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings as a document."""
        found: Mapping[str, Any] = self.facts["settings"]
        return found

    @property
    def is_finished(self) -> bool:
        """Whether the winner was chosen, or found to be none."""
        return "winner" in self.facts

    @property
    def best(self) -> str | None:
        """The winner's key; while the run goes on, that of the fastest that passed; None where nothing is faster."""
        if self.is_finished:
            winner: str | None = self.facts["winner"]
            return winner
        times = {s.key: self.verdicts[s.key].time_us for s in self.steps}
        faster = {key: t for key, t in times.items() if t and t < (self.baseline_us or 0.0)}
        return min(faster, key=lambda key: faster[key], default=None)

    @property
    def baseline_us(self) -> float | None:
        """The baseline's time in the search."""
        return self.verdicts[self.root].time_us if self.root else None

    def comparison(self, key: str) -> Comparison | None:
        """A program with the baseline, by the second examination where both passed it; None for one that failed."""
        for verdicts in (self.confirmed, self.verdicts):
            before, after = verdicts.get(self.root or ""), verdicts.get(key)
            if before and after and before.is_ok and after.is_ok and before.metrics and after.metrics:
                return Comparison(before.metrics, after.metrics, verdicts is self.confirmed)
        return None

    def way(self, key: str) -> tuple[StepRow, ...]:
        """The steps from the baseline to a program, by which it was found first."""
        first = {row.key: row for row in reversed(self.steps)}
        found: list[StepRow] = []
        while key in first and key != self.root:
            found.insert(0, first[key])
            key = first[key].parent
        return tuple(found)

    def key_of(self, text: str) -> str:
        """The key that a step's number, the beginning of a key, `baseline` or `best` means. Raises UserError."""
        named = {"baseline": self.root, "best": self.best} | {str(s.number): s.key for s in self.steps}
        if named.get(text):
            return str(named[text])
        found = [key for key in self.candidates if text and key.startswith(text)]
        if len(found) != 1:
            what = f"{len(found)} programs begin" if found else "no step or program begins"
            remedy = "a step's number, the beginning of a key, `baseline` or `best`; see optiml show"
            raise fail("unknown-step", f"{what} with `{text}`", Location(str(self.path)), remedy)
        return found[0]


def read_run(path: Path) -> Reading:
    """Raises UserError: missing-file, no-run."""
    with Store.open(path) as store:
        verdicts = store.verdicts()
        root = next((key for key, purpose in verdicts if purpose == "baseline"), None)
        keys = {key for key, _purpose in verdicts}
        return Reading(
            path=path,
            facts=store.facts(),
            root=root,
            steps=store.steps(),
            verdicts={key: v for (key, purpose), v in verdicts.items() if purpose in ("search", "baseline")},
            confirmed={key: v for (key, purpose), v in verdicts.items() if _is_second(purpose, v)},
            candidates={key: store.candidate(key) for key in sorted(keys)},
            exchanges=store.exchanges(),
        )


def _is_second(purpose: str, verdict: Verdict) -> bool:
    """Of the second examination; a look at the whole result counts where it found something, and comes after it."""
    return purpose == "confirm" or (purpose == "whole" and not verdict.is_ok)
