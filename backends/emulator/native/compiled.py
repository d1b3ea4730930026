"""LLVM modules to object code, and object code to a function that can be called."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

Run = Callable[[int, int, int, int, int, int], int]
"""`run(state, instances, count, block, masks, places)`; all but count and block are addresses."""

# The code is straight already: LLVM's passes, and its slower code generation, cost twice the time and gain nothing.
CODEGEN_LEVEL = 1
_PROTOTYPE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p
)


@cache
def host() -> tuple[str, str, str]:
    """(processor, its features, version of the binding to LLVM): what object code depends on but for the module."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # 512-bit registers hold a warp's 32-bit values in two.
    features = llvm.get_host_cpu_features().flatten()
    return llvm.get_host_cpu_name(), f"{features},-prefer-256-bit", llvmlite.__version__


def _target_machine() -> Any:
    """A new one each time, for an execution engine takes it over."""
    processor, features, _ = host()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=processor, features=features, opt=CODEGEN_LEVEL, jit=True)


def object_code(module: ir.Module) -> bytes:
    """Compile a module for this processor."""
    machine = _target_machine()
    parsed = llvm.parse_assembly(str(module))
    parsed.triple = machine.triple
    parsed.data_layout = str(machine.target_data)
    parsed.verify()
    code: bytes = machine.emit_object(parsed)
    return code


class Native:
    """Loaded object code; keeps it alive. `run` is its function."""

    def __init__(self, code: bytes) -> None:
        host()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.run: Run = _PROTOTYPE(self._engine.get_function_address("run"))
