"""Machine code of the shipped kernels and of CUDA texts, compiled once in a test run."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from backends.compilers.nvrtc import compile_source
from backends.compilers.task import compile_task
from backends.sass import Function, read_sass
from ir.task import Task, load_task

KERNELS = Path(__file__).parents[3] / "kernels"
ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
# A target that a task names stands for the architectures that have its instructions.
_LIKE = {"sm_86": "sm_80", "sm_89": "sm_80", "sm_120": "sm_100"}
_TENSOR_MEMORY = "blackwell"


def tasks(architecture: str) -> Iterator[Task]:
    """Every task and variant of the shipped kernels that an architecture can run."""
    for path in sorted(KERNELS.glob("*/*.toml")):
        if _LIKE.get(architecture, architecture) in load_task(path).targets:
            if architecture == "sm_120" and path.stem == _TENSOR_MEMORY:
                continue
            yield from load_task(path).all_variants()


@functools.cache
def function(kernel: str, variant: str, architecture: str) -> Function:
    task = load_task(KERNELS / kernel)
    return of_task(task.variant(variant) if variant else task, architecture)


def of_task(task: Task, architecture: str) -> Function:
    compiled = compile_task(task, task.sizes["verify"][-1], architecture)
    assert compiled.cubin is not None
    return read_sass(compiled.cubin, compiled.entry, compiled.architecture)


@functools.cache
def of_text(text: str, entry: str, architecture: str) -> Function:
    compiled = compile_source(text, entry, architecture)
    assert compiled.cubin is not None
    return read_sass(compiled.cubin, compiled.entry, compiled.architecture)
