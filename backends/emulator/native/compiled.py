"""LLVM modules to machine code, with a cache of object code on disk."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from backends.compilers.cache import Cache

Run = Callable[[int, int, int, int, int, int], int]
"""`run(state, instances, count, block, masks, places)`; all but count and block are addresses."""

# The code is straight already: LLVM's passes, and its slower code generation, cost twice the time and gain nothing.
CODEGEN_LEVEL = 1
_PROTOTYPE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p
)


@cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _target_machine() -> Any:
    """A new one each time, for the execution engine takes it over."""
    _initialise()
    target = llvm.Target.from_default_triple()
    # 512-bit registers hold a warp's 32-bit values in two.
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=f"{features},-prefer-256-bit", opt=CODEGEN_LEVEL, jit=True
    )


class Native:
    """A compiled module; keeps the machine code alive."""

    def __init__(self, module: ir.Module) -> None:
        text = str(module)
        machine = _target_machine()
        parsed = llvm.parse_assembly(text)
        parsed.triple = machine.triple
        parsed.data_layout = str(machine.target_data)
        parsed.verify()
        self._engine = llvm.create_mcjit_compiler(parsed, machine)
        self._engine.finalize_object()
        self.run: Run = _PROTOTYPE(self._engine.get_function_address("run"))


def key_of(text: str) -> str:
    """What the object code depends on."""
    parts = (text, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvmlite.__version__)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


__all__ = ["Cache", "Native", "Run", "key_of"]
