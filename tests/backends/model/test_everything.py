"""Every shipped kernel can be profiled on the machines that it is for, and moves no more than they do in the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.machines import load_machine
from backends.model.profiling import ProfileOptions, profile_task
from ir.task import Task, load_task, task_files

KERNELS = Path(__file__).parents[3] / "kernels"


def _tasks() -> list[Task]:
    loaded = [load_task(file) for file in task_files(KERNELS)]
    return [each for task in loaded for each in (task, *(task.variant(name) for name in task.variants))]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["a100", "rtx4090", "h100", "b200"])
def test_every_kernel(target: str) -> None:
    machine = load_machine(target)
    tasks = [task for task in _tasks() if machine.architecture in task.targets]
    assert len(tasks) > 20
    for task in tasks:
        modelled = profile_task(task, task.sizes["search"][0], machine, ProfileOptions(with_interval=False))
        assert modelled.time.cycles > 0, task.name
        assert max(modelled.limits.cycles.values()) <= 1.02 * modelled.time.cycles, task.name
