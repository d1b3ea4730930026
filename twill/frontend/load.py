"""From a source spec to a kernel: one table, by the kind of spec."""

from __future__ import annotations

from pathlib import Path

from ir.diagnostics import fail
from ir.loop import Kernel
from twill.frontend.options import FrontendOptions
from twill.frontend.triton import load_file, load_function, load_task_folder

__all__ = ["FrontendOptions", "load_function", "load_kernel"]


def load_kernel(spec: str | Path, options: FrontendOptions | None = None) -> Kernel:
    """The kernel that a spec names: `file.py[:kernel]`, `folder[:variant]`; raises UserError."""
    options = options or FrontendOptions()
    path, _, name = str(spec).partition(":")
    if Path(path).is_dir():
        return load_task_folder(Path(path), name, options)
    if path.endswith(".py"):
        return load_file(Path(path), name, options)
    raise fail("unknown-source", f"`{spec}` is no kernel source")
