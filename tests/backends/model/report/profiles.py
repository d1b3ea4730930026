"""Reports of small launches of shipped kernels, each modelled once in a test run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from backends.machines import load_machine
from backends.model.profiling import ProfileOptions, profile_task
from backends.model.report.report import Report, report_of
from ir.task import Task, load_task

pytest.importorskip("cuda.bindings")

KERNELS = Path(__file__).parents[4] / "kernels"


def task(name: str) -> Task:
    """`transpose` or `transpose:padded`."""
    kernel, _, variant = name.partition(":")
    found = load_task(KERNELS / kernel)
    return found.variant(variant) if variant else found


@cache
def report(
    name: str, machine: str = "a6000", sizes: str = "", with_interval: bool = False, timeline: int = 0
) -> Report:  # fmt: skip
    """The report of a task; sizes as `M=64 N=64`, those of its search set without."""
    chosen = task(name)
    values = dict(pair.split("=") for pair in sizes.split())
    given = {n: int(v) for n, v in values.items()} or chosen.sizes["search"][0]
    options = ProfileOptions(with_interval=with_interval, timeline=timeline)
    return report_of(profile_task(chosen, given, load_machine(machine), options))
