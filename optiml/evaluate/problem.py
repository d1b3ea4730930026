"""What a candidate may not change: the problem. The kernel, its launch and its compiler's options are its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ir.expression import ExpressionError

if TYPE_CHECKING:
    from ir.argument import Argument
    from ir.task import Sizes, Task

# What no override may touch, as the task's attributes have it.
_FIXED = ("reference_file", "reference_function", "tolerance", "regimes", "sizes", "targets")


def changes(base: Task, task: Task, sizes: Sequence[Sizes]) -> Iterator[str]:
    """In words, each way in which `task` puts another problem than `base` does, at these sizes."""
    fixed = [name for name in _FIXED if getattr(task, name) != getattr(base, name)]
    if fixed:
        yield f"it changes the task's {', '.join(fixed).replace('_', ' ')}"
        return
    # The first folder is that of the kernel itself, which the harness adds.
    if task.language == "cuda" and task.compile.include[1:] != base.compile.include:
        yield "it changes the folders of headers: include"
    if _told(base) != _told(task):
        yield "it changes the problem: constants that the reference is told"
    for each in sizes:
        if (what := _different(base, task, each)) is not None:
            yield f"it changes the problem: {what} at {dict(each)}"


def _different(base: Task, task: Task, sizes: Sizes) -> str | None:
    """The first argument that is another one; a tensor may be passed as a descriptor, and go by another name inside."""
    if len(base.arguments) != len(task.arguments):
        return f"{len(task.arguments)} arguments in place of {len(base.arguments)}"
    try:
        pairs = zip(base.arguments, task.arguments, strict=True)
        return next((b.name for b, t in pairs if _put(b, base.values(sizes)) != _put(t, task.values(sizes))), None)
    except ExpressionError as error:
        return str(error)


def _put(argument: Argument, values: Sizes) -> tuple[Any, ...]:
    """What the problem says of an argument at some sizes."""
    who = (argument.name, argument.role, argument.dtype, argument.kind == "scalar")
    if argument.kind == "scalar":
        return (*who, argument.value_at(values))
    given = argument.distribution
    return (*who, argument.shape_at(values), given.kind, given.bounds(values))


def _told(task: Task) -> Mapping[str, Any]:
    """The constants that the reference asks for. Raises UserError for a reference that cannot be imported."""
    from backends.compilers.python_source import import_file

    function = getattr(import_file(task.reference_file), task.reference_function, None)
    wanted = inspect.signature(function).parameters if callable(function) else ()
    return {name: value for name, value in task.constants.items() if name in wanted}
