"""A Triton or Gluon kernel out of its decorators."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.compilers.triton_adaptor import dtype, require_triton
from ir.diagnostics import Location


@dataclass(frozen=True)
class Unwrapped:
    """A JITFunction out of its decorators: configurations of @autotune, functions of @heuristics."""

    function: Any
    configs: tuple[Any, ...] = ()
    heuristics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def location(self) -> Location:
        """Where the function is defined."""
        code = self.function.fn.__code__
        return Location(code.co_filename, code.co_firstlineno)

    @property
    def is_gluon(self) -> bool:
        """Whether it is written in Gluon, Triton's lower-level sibling."""
        return bool(getattr(self.function, "is_gluon", bool)())

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Parameters in order."""
        return self.function.signature.parameters  # type: ignore[no-any-return]


def unwrap(kernel: Any) -> Unwrapped | None:
    """Take a kernel out of @autotune and @heuristics; None if there is no JITFunction inside."""
    require_triton()
    from triton.runtime.autotuner import Autotuner, Heuristics
    from triton.runtime.jit import JITFunction

    configs: tuple[Any, ...] = ()
    heuristics: dict[str, Any] = {}
    while isinstance(kernel, Autotuner | Heuristics):
        if isinstance(kernel, Autotuner):
            configs = tuple(kernel.configs)
        else:
            heuristics = {**kernel.values, **heuristics}
        kernel = kernel.fn
    return Unwrapped(kernel, configs, heuristics) if isinstance(kernel, JITFunction) else None


def constant_value(kernel: Unwrapped, value: Any) -> Any:
    """A constant as the compiler wants it: the text `tl.fp16` is a dtype, `@name` a function that the kernel sees."""
    if not isinstance(value, str):
        return value
    if value.startswith("@"):
        return kernel.function.fn.__globals__.get(value[1:], value)
    return dtype(value.removeprefix("tl.")) if value.startswith("tl.") else value
