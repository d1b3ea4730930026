"""The story of a run in a few sentences: what came of it, how, why it is faster, what was tried, what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from optiml.report.words import counted, ratio_text
from optiml.store.reading import Comparison, Reading
from optiml.verdict import Metrics, Status
from twill.report.numbers import time_text

# What became of programs that did not pass.
_FAILURES = {
    Status.REFUSED: "refused",
    Status.COMPILE_ERROR: "did not compile",
    Status.RESOURCE_LIMIT: "asked for more than the machine has",
    Status.WRONG_RESULT: "gave wrong results",
    Status.FINDINGS: "broke a rule that the checkers watch",
    Status.FAULT: "faulted",
    Status.TIMEOUT: "took too long",
    Status.CRASH: "crashed",
    Status.CHEATING: "cheated",
    Status.IMPOSSIBLE_TIME: "had an impossible time",
    Status.REGRESSION: "were slower at some size",
}
# How a search ended, by the name that the driver gives it.
_ENDS = {
    "evaluations": "its evaluations were spent",
    "seconds": "its time was spent",
    "cost": "its money was spent",
    "exhausted": "nothing was left to try",
}
_CLASSES = {
    "plain": "kernels of this class (plain)",
    "memory": "kernels of this class (limited by DRAM)",
    "tensor": "kernels of this class (tensor cores)",
    "asynchronous": "kernels of this class (asynchronous)",
}


def story(reading: Reading) -> tuple[str, ...]:
    """Sentences for a run that is finished, goes on, was killed, or found nothing."""
    if reading.baseline_us is None:
        return (f"{title(reading)}: the baseline has not been evaluated, so nothing is known yet.", _state(reading))
    best = reading.comparison(reading.best) if reading.best else None
    told = _of_best(reading, best) if best else _of_none(reading)
    return (*told, _tried(reading), _state(reading), *_worth(reading, best))


def title(reading: Reading) -> str:
    """The task, its variant, and the machine."""
    return f"{task_name(reading)} on {reading.settings['target']}"


def task_name(reading: Reading) -> str:
    """By the task file, or by its folder in runs that do not say."""
    parts = str(reading.settings["task"]).removesuffix("/task.toml").split("/")
    name = str(reading.facts.get("task", {}).get("name", parts[-1]))
    variant = reading.settings.get("variant")
    return f"{name}:{variant}" if variant else name


def limited(metrics: Metrics) -> str:
    """What limits a kernel, with how busy it is.

    >>> limited(Metrics("modelled", (), "dram", "long_scoreboard", {"dram": 0.91}))
    'dram (91 % busy)'
    """
    if metrics.limiter in metrics.busy:
        return f"{metrics.limiter} ({metrics.busy[metrics.limiter]:.0%} busy)".replace("%", " %")
    return f"{metrics.limiter} (warps wait most in {metrics.stall})" if metrics.stall else metrics.limiter


def error_text(metrics: Metrics) -> str:
    """What is known of the error of the times."""
    if metrics.kind != "modelled":
        return "times are measured"
    kernels = _CLASSES.get(metrics.kernel_class, "kernels of this class")
    if metrics.error_percent is None:
        return f"times are modelled, not measured; the model's error on {kernels} has not been measured"
    mean = f"{metrics.error_percent:.0f} % in the mean of published measurements"
    return f"times are modelled, not measured; the model's error on {kernels} is {mean}"


def _of_best(reading: Reading, best: Comparison) -> Iterator[str]:
    before, after = best.before, best.after
    yield (
        f"{title(reading)}: {time_text(after.time_us)} in place of {time_text(before.time_us)}, "
        f"{ratio_text(best.speedup).removesuffix('x')} times as fast ({_how_timed(after)})."
    )
    way = reading.way(reading.best or "")
    names = ", then ".join(f"{s.tag} ({ratio_text(_gain(reading, s.parent, s.key))})" for s in way)
    if way:
        yield f"{counted(len(way), 'edit')} led there: {names}."
    if before.limiter == after.limiter:
        yield f"It was limited by {limited(before)} and still is: {limited(after)}."
    else:
        yield f"It was limited by {limited(before)} and is now limited by {limited(after)}."


def _how_timed(metrics: Metrics) -> str:
    count = len(metrics.times)
    return metrics.kind if count == 1 else f"{metrics.kind}, geometric mean over {count} sizes"


def _gain(reading: Reading, parent: str, key: str) -> float:
    before, after = reading.verdicts[parent].time_us, reading.verdicts[key].time_us
    return before / after if before and after else 1.0


def _of_none(reading: Reading) -> Iterator[str]:
    yield (
        f"{title(reading)}: nothing faster than the baseline of {time_text(reading.baseline_us or 0.0)} "
        f"{'was found' if reading.is_finished else 'has been found yet'}."
    )
    root = reading.verdicts[reading.root or ""]
    if root.metrics:
        yield f"It is limited by {limited(root.metrics)}."


def _tried(reading: Reading) -> str:
    verdicts = {s.key: reading.verdicts[s.key] for s in reading.steps}
    failures = Counter(v.status for v in verdicts.values() if not v.is_ok)
    limit = reading.baseline_us or 0.0
    faster = sum((v.time_us or limit) < limit for v in verdicts.values())
    passed = len(verdicts) - failures.total()
    failed = ", ".join(f"{number} {_FAILURES[status]}" for status, number in failures.most_common()) or "none failed"
    programs = counted(len(verdicts), "program")
    return f"{programs} tried: {passed} passed, {faster} of them faster than the baseline; {failed}."


def _state(reading: Reading) -> str:
    if not reading.is_finished:
        return f"The run is not finished: it goes on, or was stopped (optiml resume {reading.path})."
    ended = str(reading.facts.get("ended", ""))
    return f"The search ended because {_ENDS.get(ended, ended)}."


def _worth(reading: Reading, best: Comparison | None) -> Iterator[str]:
    if best:
        again = "was verified again with fresh inputs" if best.is_confirmed else "has not been examined again yet"
        yield f"The best one {again}; {error_text(best.after)}."
        return
    metrics = reading.verdicts[reading.root or ""].metrics
    if metrics:
        yield f"All {error_text(metrics)}."
