"""Triton kernels in Python: find the function, compile it to TTIR, read that."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from backends.compilers.triton_adaptor import compile_ttir
from backends.compilers.triton_errors import told_to_the_user
from backends.compilers.triton_function import unwrap
from ir.diagnostics import Location, fail
from ir.loop import Kernel
from twill.frontend.arguments import Choice, settle
from twill.frontend.mlir import kernel_from_generic
from twill.frontend.options import FrontendOptions
from twill.frontend.signature import ALIGNMENT, ArgumentType
from twill.frontend.triton_pipeliner import compile_pipelined

if TYPE_CHECKING:
    from ir.task import Task

TASK_FILE = "task.toml"


def load_function(function: Any, options: FrontendOptions, task: Choice | None = None) -> Kernel:
    """Compile a Triton function object, decorated or not, to a kernel; raises UserError."""
    kernel = unwrap(function)
    if kernel is None:
        remedy = "pass a function under @triton.jit, with or without @triton.autotune"
        raise fail("no-kernel", f"{function!r} is no Triton kernel", remedy=remedy)
    if kernel.is_gluon:
        remedy = "dump its TTGIR (TRITON_KERNEL_DUMP=1) and give that file"
        raise fail("gluon-kernel", "a Gluon kernel has its layouts and pipeline written out", kernel.location, remedy)
    request = settle(kernel, options, task or Choice())
    with told_to_the_user(kernel.function, kernel.location):
        text = (compile_pipelined if options.pipelined else compile_ttir)(kernel.function, request)
    compiled = kernel_from_generic(text, kernel.location.file, warps=request.num_warps)
    settings = {"architecture": request.capability, "num_stages": request.num_stages}
    return replace(compiled, name=kernel_name(function), attributes=settings)


def find_kernel(module: ModuleType, name: str, place: Location) -> Any:
    """The kernel `name` of a module; without a name the only one that no other kernel calls.

    Raises UserError: unknown-kernel, no-kernel, several-kernels.
    """
    kernels = {n: k for n, k in vars(module).items() if unwrap(k) is not None and _defined_in(module, k)}
    if name:
        return _named_kernel(module, kernels, name, place)
    entries = _entries(kernels)
    if not entries:
        hint = "; unset TRITON_INTERPRET, which takes them away" if os.environ.get("TRITON_INTERPRET") == "1" else ""
        remedy = f"write file.py:kernel for an imported one{hint}"
        raise fail("no-kernel", "no @triton.jit function here", place, remedy)
    if len(entries) > 1:
        remedy = "choose one: " + ", ".join(f"{place.file}:{n}" for n in entries)
        raise fail("several-kernels", f"{len(entries)} kernels here: {', '.join(entries)}", place, remedy)
    return next(iter(entries.values()))


def _defined_in(module: ModuleType, kernel: Any) -> bool:
    unwrapped = unwrap(kernel)
    return unwrapped is not None and unwrapped.function.fn.__module__ == module.__name__


def _named_kernel(module: ModuleType, kernels: Mapping[str, Any], name: str, place: Location) -> Any:
    found = getattr(module, name, None)
    if found is not None and unwrap(found) is not None:
        return found
    near = difflib.get_close_matches(name, kernels, 1)
    remedy = (f"did you mean `{near[0]}`? " if near else "") + f"kernels here: {', '.join(kernels) or 'none'}"
    what = "is no Triton kernel" if found is not None else "is not defined"
    raise fail("unknown-kernel", f"`{name}` {what} here", place, remedy)


def _entries(kernels: Mapping[str, Any]) -> dict[str, Any]:
    """Kernels that no other one calls; of several names for one function, the most decorated."""
    functions = {n: unwrap(k).function for n, k in kernels.items()}  # type: ignore[union-attr]
    called = {used for f in functions.values() for used in f.fn.__code__.co_names if used != f.__name__}
    entries = {n: k for n, k in kernels.items() if functions[n].__name__ not in called}
    latest = {id(functions[n]): n for n in entries}
    return {n: k for n, k in entries.items() if latest[id(functions[n])] == n}


def load_file(path: Path, name: str, options: FrontendOptions) -> Kernel:
    """A kernel of a Python file; a task file next to it that is about this kernel gives types and constants."""
    from backends.compilers.python_source import import_file

    kernel = find_kernel(import_file(path), name, Location(str(path)))
    return load_function(kernel, options, _task_beside(path, kernel))


def load_module(module: str, name: str, options: FrontendOptions) -> Kernel:
    """A kernel of an importable module."""
    from backends.compilers.python_source import import_module

    imported = import_module(module)
    kernel = find_kernel(imported, name, Location(imported.__file__ or module))
    return load_function(kernel, options)


def load_task_kernel(task: Task, options: FrontendOptions) -> Kernel:
    """The kernel of a task in Python, with the types and constants that the task gives it."""
    from backends.compilers.python_source import import_file

    kernel = find_kernel(import_file(task.source), task.entry, Location(str(task.source)))
    return load_function(kernel, options, task_choice(task))


def task_choice(task: Task) -> Choice:
    """What a task says of its kernel; divisibility is that of the first size of the report."""
    sizes = next(iter(task.sizes["report"]), {})
    values = task.values(sizes)
    aligned = {index for (index,) in task.triton_attributes(sizes)}
    types = {
        a.parameter: ArgumentType(a.triton_type(values), ALIGNMENT if i in aligned else 1)
        for i, a in enumerate(task.arguments)
    }
    return Choice(types, task.constants, task.launch.num_warps, task.launch.num_stages)


def _task_beside(path: Path, kernel: Any) -> Choice | None:
    """What the task file in the same folder says, if its `source` is this file and its `entry` this kernel."""
    file = path.parent / TASK_FILE
    if not file.is_file():
        return None
    from ir.task import load_task

    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    if told.get("source") != path.name or told.get("entry") != kernel_name(kernel):
        return None
    return task_choice(load_task(file))


def kernel_name(kernel: Any) -> str:
    """Name of the function inside a decorated kernel."""
    unwrapped = unwrap(kernel)
    assert unwrapped is not None
    return str(unwrapped.function.__name__)
