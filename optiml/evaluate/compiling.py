"""A candidate to an artifact, within limits: CUDA in this process, Python only behind the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optiml.evaluate.job import Limits

if TYPE_CHECKING:
    from backends.compilers.artifact import Compiled
    from ir.task import Sizes, Task


def compiled_at(task: Task, sizes: Sizes, architecture: str, limits: Limits) -> Compiled:  # noqa: ARG001
    """The artifact with machine code for a launch at these sizes.

    Raises UserError for a kernel that does not compile; CompileTimeoutError; CompilerCrashError.
    """
    from backends.compilers.task import compile_task

    return compile_task(task, sizes, architecture)
