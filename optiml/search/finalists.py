"""The winner: by time alone, among finalists checked again with fresh inputs and timed at every report size.

Its whole result is looked at once more, at those timed sizes that are not too large for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optiml.evaluate.job import text_of
from optiml.evaluate.judge import Judge
from optiml.search.protocol import Scored
from optiml.verdict import NOISE, Metrics, SizeTime, Status, Verdict

FINALISTS = 3


@dataclass(frozen=True)
class Finalist:
    """A candidate with the verdict of its second examination."""

    scored: Scored
    confirmed: Verdict

    @property
    def time_us(self) -> float:
        """By which the winner is chosen; infinite where it did not pass."""
        return self.confirmed.time_us or float("inf")


@dataclass(frozen=True)
class Final:
    """The baseline, all that were examined again, and the winner among them; None where nothing is faster."""

    baseline: Finalist
    finalists: tuple[Finalist, ...]
    winner: Finalist | None


def choose(
    baseline: Scored,
    found: Sequence[Scored],
    judge: Judge,
    whole: Callable[[Metrics], Judge] | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Final:
    """Examine the fastest again, and more of them while none passes.

    `whole`: who looks at all of a winner's result, by what was found at the timed sizes. Raises AssertionError where
    the baseline, which passed before, fails.
    """
    standard = Finalist(baseline, judge.verdict(baseline.candidate))
    metrics = standard.confirmed.metrics
    examined: list[Finalist] = []
    if metrics is None or not standard.confirmed.is_ok:
        return Final(standard, (), None)
    ranked = _ranked(baseline, found)
    for start in range(0, len(ranked), FINALISTS):
        group = ranked[start : start + FINALISTS]
        progress(f"examining {', '.join(s.path[-1] for s in group)} again, with fresh inputs")
        for scored in group:
            judge.begin(scored.candidate)
        new = [Finalist(s, guarded(judge.verdict(s.candidate), metrics)) for s in group]
        examined += new
        passed = [f for f in new if f.confirmed.is_ok and f.time_us < standard.time_us * (1 - NOISE)]
        for best in sorted(passed, key=lambda f: f.time_us):
            seen = _in_whole(best, whole) if whole else best
            examined[examined.index(best)] = seen
            if seen.confirmed.is_ok:
                return Final(standard, tuple(examined), seen)
    return Final(standard, tuple(examined), None)


def _in_whole(best: Finalist, whole: Callable[[Metrics], Judge]) -> Finalist:
    """The finalist, with a note of where all of its result was right, or with the verdict on where it was not."""
    metrics = best.confirmed.metrics
    assert metrics is not None, "it has a time"
    judge = whole(metrics)
    if not judge.job.verify:
        return replace(
            best, confirmed=_noted(best.confirmed, "at no size that is timed was the whole result looked at")
        )
    verdict = judge.verdict(best.scored.candidate)
    if not verdict.is_ok:
        return replace(best, confirmed=verdict)
    sizes = "; ".join(text_of(s) for s in judge.job.verify)
    return replace(best, confirmed=_noted(best.confirmed, f"its whole result is right at {sizes}"))


def _noted(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, notes=(*verdict.notes, note))


def guarded(verdict: Verdict, baseline: Metrics) -> Verdict:
    """The verdict, or a regression where some size takes longer than the baseline does there."""
    if verdict.metrics is None or not verdict.is_ok:
        return verdict
    slower = [
        _slower(new, old)
        for new, old in zip(verdict.metrics.times, baseline.times, strict=True)
        if new.time_us > old.time_us * (1 + NOISE)
    ]
    return replace(verdict, status=Status.REGRESSION, evidence="; ".join(slower)) if slower else verdict


def _slower(new: SizeTime, old: SizeTime) -> str:
    return f"{new.time_us:.4g} us at {text_of(new.sizes)}, where the baseline takes {old.time_us:.4g} us"


def _ranked(baseline: Scored, found: Sequence[Scored]) -> list[Scored]:
    """Distinct ones that are faster than the baseline beyond the noise, fastest first; of equal ones the earlier."""
    limit = (baseline.verdict.time_us or 0.0) * (1 - NOISE)
    distinct = {s.key: s for s in reversed(found) if (s.verdict.time_us or float("inf")) < limit}
    return sorted(reversed(distinct.values()), key=lambda s: s.verdict.time_us or 0.0)
