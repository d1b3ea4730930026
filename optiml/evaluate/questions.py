"""The questions of a run: about the baseline, about each candidate once the baseline is known, and about the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optiml.candidate import candidate_of
from optiml.evaluate.floors import distinct_bytes, floor_us
from optiml.evaluate.job import Job, Limits, Sizes, by_work
from optiml.evaluate.secret import secret_seed

if TYPE_CHECKING:
    from ir.machine import Machine
    from ir.task import Task
    from optiml.verdict import Metrics

# Warp instructions that the emulated device is asked for to see the whole result at a size that is timed. A choice.
FULL_WARP_INSTRUCTIONS = 16e6


def question(task: Task, target: str, profile: Sequence[Sizes], seed: int, limits: Limits) -> Job:
    """About a task's own kernel: is it right at all verify and search sizes, how long does it take at `profile`?

    `target` is a machine's name or file.
    """
    return Job(
        task=str(Path(task.document.path).absolute()),
        variant=task.variant_name,
        target=target,
        candidate=candidate_of(task),
        seed=seed,
        verify=by_work([*task.sizes["verify"], *task.sizes["search"]]),
        profile=tuple(profile),
        timing_seed=secret_seed(seed, "timing", ""),
        limits=limits,
    )


def guarded(job: Job, task: Task, machine: Machine, baseline: Metrics) -> Job:
    """The same about other kernels, which can do without nothing that the baseline does at its first size.

    Of its data the baseline may touch a share alone, which is taken to be the same at all sizes.
    """
    first = float(distinct_bytes(task, baseline.times[0].sizes))
    share = min(baseline.counters.get("unique_bytes", first) / first, 1.0) if first else 1.0
    needed = tuple(share * distinct_bytes(task, sizes) for sizes in job.profile)
    floors = tuple(floor_us(task, s, machine, nbytes) for s, nbytes in zip(job.profile, needed, strict=True))
    return replace(job, floors_us=floors, needed_bytes=needed)


def in_full(job: Job, task: Task, found: Metrics) -> Job:
    """Is the whole result right at those sizes that were timed and are not too large to be emulated?"""
    first = max(float(distinct_bytes(task, found.times[0].sizes)), 1.0)
    rate = found.counters.get("warp_instructions", float("inf")) / first
    small = [t.sizes for t in found.times if rate * distinct_bytes(task, t.sizes) <= FULL_WARP_INSTRUCTIONS]
    return replace(job, verify=by_work(small), profile=(), floors_us=(), needed_bytes=(), result_alone=True)
