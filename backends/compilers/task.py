"""A task's kernel to an artifact, whatever its language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from backends.compilers.artifact import Compiled
from backends.compilers.cache import Cache

if TYPE_CHECKING:
    from ir.task import Sizes, Task

Compiler = Callable[["Task", "Sizes", str, bool, Cache | None], Compiled]


def compile_task(
    task: Task, sizes: Sizes, architecture: str, cache: Cache | None = None, cubin: bool = True
) -> Compiled:
    """Compile the kernel of a task as it is launched at these sizes; `cache` None is the user's own.

    `cubin` False stops at PTX, which saves the assembler's time; resources and static shared memory are unknown then.
    The artifact has the block, the cluster and the dynamic shared memory of the launch. Raises UserError: what the
    compiler of the language raises; CompileTimeoutError.
    """
    return _COMPILERS[task.language](task, sizes, architecture, cubin, cache)


def _triton(task: Task, sizes: Sizes, architecture: str, cubin: bool, cache: Cache | None) -> Compiled:
    from backends.compilers import triton

    launch = task.launch
    options = triton.TritonOptions(launch.num_warps, launch.num_stages, launch.num_ctas, cubin=cubin)
    return triton.compile_task(task, sizes, architecture, options, cache=cache)


def _cuda(task: Task, sizes: Sizes, architecture: str, cubin: bool, cache: Cache | None) -> Compiled:
    from backends.compilers import nvrtc

    values, chosen = task.values(sizes), task.compile
    options = nvrtc.CudaOptions(
        standard=chosen.std,
        macros=dict(chosen.defines),
        include=tuple(map(str, chosen.include)),
        fast_math=chosen.fast_math,
        cubin=cubin,
    )
    types = {a.parameter: a.triton_type(values) for a in task.arguments}
    compiled = nvrtc.compile_file(task.source, task.name_expression, architecture, options, types, cache)
    return replace(
        compiled,
        block=task.block(sizes),
        dynamic_smem_bytes=task.smem_bytes(sizes),
        cluster=task.cluster(sizes) if task.launch.cluster else compiled.cluster,
        cooperative=task.launch.cooperative,
    )


_COMPILERS: dict[str, Compiler] = {"triton": _triton, "gluon": _triton, "cuda": _cuda}
