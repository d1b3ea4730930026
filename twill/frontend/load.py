"""From a source spec to a kernel: one table, by the kind of spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ir.diagnostics import fail
from ir.loop import Kernel
from twill.frontend.options import FrontendOptions
from twill.frontend.triton import load_file, load_function, load_module, load_task_kernel

if TYPE_CHECKING:
    from ir.task import Task

__all__ = ["FrontendOptions", "load_function", "load_kernel", "load_of_task"]


def load_kernel(spec: str | Path, options: FrontendOptions | None = None) -> Kernel:
    """The kernel that a spec names.

    `file.py[:kernel]`, `package.module:kernel`, `folder[:variant]`, `folder/task.toml[:variant]`,
    `file.ttir[:kernel]` (also .ttgir, .mlir), `file.ptx[:entry]`,
    `file.cu[:kernel]`, `launches.json#0`. Raises UserError.
    """
    text = str(spec)
    options = options or FrontendOptions()
    for kind in _KINDS:
        if kind.accepts(text):
            _refuse_ignored(text, options, kind.ignores)
            return kind.load(text, options)
    raise fail("unknown-source", f"`{text}` is no kernel source", remedy="; ".join(k.form for k in _KINDS))


def load_of_task(task: Task, options: FrontendOptions) -> Kernel:
    """The kernel of a task, in whatever language. Raises UserError."""
    if task.language != "cuda":
        return load_task_kernel(task, options)
    from twill.frontend.cuda import load_cuda_task

    _refuse_ignored(task.name, options, (*_OF_TRITON, "constants"))
    return load_cuda_task(task, options)


# Options by field -> flag; and those that only mean something to Triton's compiler.
_FLAGS = {
    "arguments": "--arg", "constants": "--const", "config_index": "--config", "num_warps": "--num-warps",
    "num_stages": "--num-stages",
}  # fmt: skip
_OF_TRITON = ("arguments", "config_index", "num_stages")


def _refuse_ignored(spec: str, options: FrontendOptions, ignored: Sequence[str]) -> None:
    given = [_FLAGS[name] for name in ignored if getattr(options, name) not in (None, {})]
    if given:
        flags = ", ".join(given)
        raise fail(
            "unused-option", f"{flags} says nothing about `{spec}`, which is compiled without", remedy="leave it out"
        )


@dataclass(frozen=True)
class _Kind:
    """One kind of source: how it is written, whether a spec is one, how it is loaded, what options it ignores."""

    form: str
    accepts: Callable[[str], bool]
    load: Callable[[str, FrontendOptions], Kernel]
    ignores: Sequence[str] = ()


def _suffix(*suffixes: str) -> Callable[[str], bool]:
    return lambda spec: Path(_split(spec)[0]).suffix in suffixes


def _split(spec: str) -> tuple[Path, str]:
    """Path and what follows its last colon."""
    if Path(spec).exists():
        return Path(spec), ""
    path, colon, name = spec.rpartition(":")
    return (Path(path), name) if colon else (Path(spec), "")


def _python(spec: str, options: FrontendOptions) -> Kernel:
    return load_file(*_split(spec), options)


def _module(spec: str, options: FrontendOptions) -> Kernel:
    module, _, name = spec.partition(":")
    return load_module(module, name, options)


def _task(spec: str, options: FrontendOptions) -> Kernel:
    from ir.task import load_task

    path, variant = _split(spec)
    task = load_task(path)
    return load_of_task(task.variant(variant) if variant else task, options)


def _mlir(spec: str, options: FrontendOptions) -> Kernel:
    from backends.compilers.triton_adaptor import require_triton
    from twill.frontend.isolation import parse_isolated
    from twill.frontend.mlir import kernel_from_generic

    require_triton()
    path, name = _split(spec)
    text = parse_isolated(path, options.capability)
    return kernel_from_generic(text, str(path), name, warps=options.num_warps or 4)


def _ptx(spec: str, _options: FrontendOptions) -> Kernel:
    from twill.frontend.ptx import load_ptx

    path, name = _split(spec)
    return load_ptx(path, name or None)


def _cuda(spec: str, options: FrontendOptions) -> Kernel:
    from twill.frontend.cuda import load_cuda, split_cuda

    return load_cuda(*split_cuda(spec), options)


def _launch(spec: str, options: FrontendOptions) -> Kernel:
    from twill.frontend.capture import load_launch

    path, _, index = spec.partition("#")
    return load_launch(Path(path), index, options)


_KINDS = (
    _Kind("launches.json#0", lambda spec: spec.partition("#")[0].endswith(".json"), _launch),
    _Kind("folder[:variant] with a task.toml", lambda spec: _split(spec)[0].is_dir(), _task),
    _Kind("folder/task.toml[:variant]", _suffix(".toml"), _task),
    _Kind("file.py[:kernel]", _suffix(".py"), _python),
    _Kind(
        "file.ttir[:kernel] (or .ttgir, .mlir)", _suffix(".ttir", ".ttgir", ".mlir"), _mlir, (*_OF_TRITON, "constants")
    ),
    _Kind("file.ptx[:entry]", _suffix(".ptx"), _ptx, tuple(_FLAGS)),
    _Kind("file.cu[:kernel]", lambda spec: spec.endswith(".cu") or ".cu:" in spec, _cuda, _OF_TRITON),
    _Kind("package.module:kernel", lambda spec: spec.count(":") == 1 and "/" not in spec, _module),
)
