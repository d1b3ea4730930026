"""Launched again: other turns of the threads, other inputs, and the same kernel with whatever it kept before.

All of this happens at one size, the smallest that says something, so that it costs little; at the largest size, where
a kernel may go another way, one launch more has all other inputs, a row of each in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from backends.run.devices import rescheduled
from backends.run.outcome import Outcome, Status
from ir.task import MIXED

if TYPE_CHECKING:
    import torch

    from backends.compilers.artifact import Compiled
    from backends.run.task import TaskRun
    from ir.task import Sizes, Task

# Fewer elements than these in the largest input say little about anything.
_ELEMENTS = 64
NOT_BITWISE = "two runs that let threads take other turns differ in their last bits"


def probe_size(task: Task, sizes: Sequence[Sizes]) -> Sizes:
    """The first of the sizes at which no tensor is empty and the largest input has 64 elements; else the last."""
    return next((s for s in sizes if _says_something(task, s)), sizes[-1])


def repeats(run: TaskRun, compiled: Compiled, seed: int) -> Iterator[tuple[str, Outcome]]:
    """Of each further launch what is unusual about it, in words, and its outcome; nothing after one that failed.

    `run` has been launched. Where the reference is not sound on some inputs, they are passed over.
    """
    first = run.outputs()
    rescheduled(run.device, seed + 1)
    for regime in ("", *run.case.task.regimes):
        outcome = run.again(compiled, regime)
        if outcome is None:
            continue
        yield f"launched again, with inputs `{regime}`" if regime else _with_other_turns(first, run, outcome), outcome
        if outcome.status != Status.PASSED:
            return


def mixed(run: TaskRun, compiled: Compiled) -> Iterator[tuple[str, Outcome]]:
    """The same of one further launch, whose inputs have a row of each regime in turn."""
    outcome = run.again(compiled, MIXED) if run.case.task.regimes else None
    if outcome is not None:
        names = ", ".join(f"`{regime}`" for regime in run.case.task.regimes)
        yield f"launched again, with rows of inputs {names} in turn", outcome


def _with_other_turns(first: Mapping[str, torch.Tensor], run: TaskRun, outcome: Outcome) -> str:
    if outcome.status != Status.PASSED:
        return "launched again, with other turns of its threads"
    second = run.outputs()
    return NOT_BITWISE if any(not _same(first[name], second[name]) for name in first) else ""


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    import torch

    return bool(torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)))


def _says_something(task: Task, sizes: Sizes) -> bool:
    values = task.values(sizes)
    elements = [prod(a.shape_at(values)) for a in task.arguments if a.kind != "scalar"]
    inputs = [a for a in task.inputs if a.role != "scratch" and a.distribution.kind != "zeros"]
    drawn = [prod(a.shape_at(values)) for a in inputs]
    return min(elements, default=0) > 0 and max(drawn or elements) >= _ELEMENTS
