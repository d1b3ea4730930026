"""CUDA C++ kernels: NVRTC compiles them to PTX, whose loops have the instructions, with places in the source."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from backends.compilers.artifact import Compiled
from backends.compilers.cuda_messages import kernel_names
from backends.ptx.parser import parse_ptx
from ir.diagnostics import Location, fail
from ir.loop import Kernel
from twill.frontend.options import FrontendOptions
from twill.frontend.ptx import kernel_of

if TYPE_CHECKING:
    from ir.task import Task

_WARP_THREADS = 32


def load_cuda(path: Path, entry: str, options: FrontendOptions) -> Kernel:
    """A kernel of a .cu file; `entry` is a name or an instance of a template, `sum<float, 256>`; empty: the only one.

    Constants of the options are macros. Raises UserError: missing-file, no-kernel, several-kernels, what NVRTC says.
    """
    from backends.compilers.nvrtc import CudaOptions, compile_file

    chosen = entry or _only_kernel(path)
    macros = {name: _macro(value) for name, value in options.constants.items()}
    compiled = compile_file(path, chosen, options.architecture, CudaOptions(macros=macros, cubin=False))
    return _kernel(compiled, chosen, path, options.num_warps)


def load_cuda_task(task: Task, options: FrontendOptions) -> Kernel:
    """The kernel of a task in CUDA C++, as it is launched at the first size of the report."""
    from backends.compilers.task import compile_task

    sizes = next(iter(task.sizes["report"]), {})
    compiled = compile_task(task, sizes, options.architecture, cubin=False)
    return _kernel(compiled, task.name_expression, task.source, options.num_warps)


def split_cuda(spec: str) -> tuple[Path, str]:
    """File and entry.

    >>> split_cuda("a/b.cu:ns::sum<float>")
    (PosixPath('a/b.cu'), 'ns::sum<float>')
    """
    stem, found, entry = spec.partition(".cu:")
    return (Path(f"{stem}.cu"), entry) if found else (Path(spec), "")


def _only_kernel(path: Path) -> str:
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    names = kernel_names(path.read_text(encoding="utf-8", errors="replace"))
    if not names:
        raise fail("no-kernel", "no `__global__` function here", Location(str(path)))
    if len(names) > 1:
        remedy = "choose one: " + ", ".join(f"{path}:{name}" for name in names)
        raise fail("several-kernels", f"{len(names)} kernels here: {', '.join(names)}", Location(str(path)), remedy)
    return names[0]


def _macro(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _kernel(compiled: Compiled, name: str, path: Path, warps: int | None) -> Kernel:
    kernel = kernel_of(parse_ptx(compiled.ptx, str(path)), compiled.entry, str(path))
    launched = -(-prod(compiled.block) // _WARP_THREADS) if compiled.block else kernel.warps
    return replace(kernel, name=name, warps=warps or launched)
