"""The kernels of the corpus: this project's own, and every Triton kernel of two packages."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus_uses import named_functions

from backends.compilers.triton_function import unwrap
from ir.diagnostics import fail, missing

if TYPE_CHECKING:
    from ir.task import Task

KERNELS = Path(__file__).parents[1] / "kernels"
SHIPPED = "kernels"
# Distribution -> import package.
PACKAGES = {"liger-kernel": "liger_kernel", "flash-linear-attention": "fla"}
# Kernels for other processors than GPUs, by a part of the module's name.
OTHER_PROCESSORS = ("ascend",)
# What else they need at import; `--no-deps` keeps out what their kernels do not need.
INSTALL = "pip install --no-deps liger-kernel flash-linear-attention fla-core einops"


@dataclass(frozen=True)
class Source:
    """One kernel: the decorated function `kernel`, or what a task file and one of its variants say."""

    package: str
    name: str
    kernel: Any = None
    task: Task | None = None


@dataclass(frozen=True)
class Broken:
    """A module that cannot be imported, and why."""

    package: str
    module: str
    reason: str


def sources(package: str) -> tuple[list[Source], list[Broken]]:
    """The kernels of a package and the modules that failed. Raises UserError (exit code 4) where it is missing."""
    if package == SHIPPED:
        return list(_shipped()), []
    if package not in PACKAGES:
        known = ", ".join((SHIPPED, *PACKAGES))
        raise fail("unknown-package", f"no package {package!r} in the corpus", remedy=f"packages: {known}")
    root = PACKAGES[package]
    if importlib.util.find_spec(root) is None:
        raise missing(package, INSTALL, f"`--package {SHIPPED}` works without it")
    return _of_package(package, root)


def _shipped() -> Iterator[Source]:
    from ir.task import load_task

    tasks = ((file, load_task(file)) for file in sorted(KERNELS.glob("*/*.toml")))
    for file, first in ((file, task) for file, task in tasks if task.language == "triton"):
        for task in first.all_variants():
            variant = f":{task.variant_name}" if task.variant_name else ""
            yield Source(SHIPPED, f"{file.parent.name}/{file.stem}{variant}", task=task)


def _of_package(package: str, root: str) -> tuple[list[Source], list[Broken]]:
    broken: list[Broken] = []
    functions: dict[int, tuple[str, Any]] = {}
    with _quiet():
        for module in _triton_modules(root):
            try:
                imported = importlib.import_module(module)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - another project's module may raise anything
                broken.append(Broken(package, module, f"{type(error).__name__}: {error}"))
                continue
            for name, value in vars(imported).items():
                _add(functions, module, name, value)
    kernels = (unwrap(kernel) for _, kernel in functions.values())
    called = {id(inner) for kernel in kernels if kernel for inner in named_functions(kernel.function)}
    entries = {key: found for key, found in functions.items() if key not in called}
    return [Source(package, name, kernel=kernel) for name, kernel in entries.values()], broken


def _add(functions: dict[int, tuple[str, Any]], module: str, name: str, value: Any) -> None:
    """Note a kernel under the function inside it, in its most decorated form."""
    kernel = unwrap(value)
    if kernel is None or kernel.function.fn.__module__ != module:
        return
    key = id(kernel.function)
    if key not in functions or kernel.configs or kernel.heuristics:
        functions[key] = (f"{module}:{name}", value)


def _triton_modules(root: str) -> Iterator[str]:
    """Modules whose text has a Triton kernel for GPUs, found without importing them."""
    spec = importlib.util.find_spec(root)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            for_gpus = not any(word in part for word in OTHER_PROCESSORS for part in parts)
            if for_gpus and b"triton.jit" in path.read_bytes():
                yield ".".join((root, *(p for p in parts if p != "__init__")))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
