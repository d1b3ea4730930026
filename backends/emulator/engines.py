"""Which blocks a kernel runs: NumPy's at first, native ones once they pay for being compiled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from backends.emulator.program import Program
from backends.emulator.translate.block import Block
from ir.diagnostics import fail, missing

if TYPE_CHECKING:
    from backends.emulator.native.engine import Cut, NativeRegionBlock

    AnyBlock = Block | NativeRegionBlock

ENGINES = ("auto", "numpy", "native")
# Seconds to compile a program: measured on Triton's and NVRTC's output, 290 to 1200 instructions, on one core.
_COMPILE_S = 0.3
_COMPILE_S_PER_INSTRUCTION = 1.5e-3


def _require(engine: str) -> None:
    if engine not in ENGINES:
        raise fail("unknown-engine", f"there is no engine `{engine}`", remedy=f"engines: {', '.join(ENGINES)}")
    if engine == "native" and find_spec("llvmlite") is None:
        raise missing("llvmlite", "pip install llvmlite", "the engine `numpy` works without it")


class Engines:
    """The engines of one kernel. `blocks` are NumPy's for the program as it was laid out."""

    def __init__(self, program: Program, blocks: tuple[Block, ...], addresses: Mapping[str, int]) -> None:
        self.program = program
        self.blocks = blocks
        self._addresses = addresses
        self._native: tuple[AnyBlock, ...] | None = None
        self._spent_s = 0.0

    @cached_property
    def _cut(self) -> Cut | None:
        """The program cut for native code; None where LLVM is not installed or nothing has a native form.

        Native code takes the address of a shared variable for a constant, which it is not in a cluster.
        """
        if self.program.uses_clusters:
            return None
        if find_spec("llvmlite") is None:
            return None
        from backends.emulator.native.engine import cut_program

        cut = cut_program(self.program, self._addresses)
        return cut if any(cut.native) else None

    def start(self, engine: str, watched: bool) -> tuple[Program, tuple[AnyBlock, ...]]:
        """What a launch starts with. `watched`: NumPy does it all, for it tells of each access.

        Raises UserError: unknown-engine; missing-part where native code is asked for and LLVM is not installed.
        """
        _require(engine)
        if engine == "numpy" or watched or self._cut is None:
            return self.program, self.blocks
        if engine == "native":
            self._compile(self._cut)
        elif self._native is None:
            self._load(self._cut)
        return self._cut.program, self._native or self._cut.blocks

    def reconsider(self, seconds: float) -> tuple[AnyBlock, ...] | None:
        """NumPy has worked for some more seconds; the native blocks, if they are worth it by now.

        Compiling starts when as much time has been spent as it takes: at worst that doubles the time.
        """
        if self._native is not None or self._cut is None:
            return None
        self._spent_s += seconds
        if self._spent_s < _COMPILE_S + _COMPILE_S_PER_INSTRUCTION * len(self.program.instructions):
            return None
        self._compile(self._cut)
        return self._native

    def _load(self, cut: Cut) -> None:
        code = cut.kept()
        if code is not None:
            self._native = cut.with_code(code)

    def _compile(self, cut: Cut) -> None:
        if self._native is None:
            self._load(cut)
        if self._native is None:
            self._native = cut.with_code(cut.compiled())
