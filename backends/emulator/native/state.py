"""What a native function knows of its batch: one array of 64-bit words, by name, shared with Python."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.emulator.native.types import I8, I64, POINTER

Value = Any

FIELDS = (
    "registers_p", "registers_h", "registers_w", "registers_d", "row_instances", "ctas", "global_base", "starts",
    "ends", "allocations", "cache", "shared_base", "shared_bytes", "shared_stride", "local_base", "local_bytes",
    "symbols", "executed", "lanes", "parameters",
)  # fmt: skip
INDEX = {name: index for index, name in enumerate(FIELDS)}


class State:
    """Reads of the state array; they are invariant in a call, which LLVM is told."""

    def __init__(self, pointer: Value) -> None:
        self.base = pointer

    def load(self, builder: ir.IRBuilder, name: str) -> Value:
        """The word itself."""
        place = builder.gep(self.base, [I64(INDEX[name] * 8)], source_etype=I8)
        word = builder.load(place, typ=I64, align=8)
        word.set_metadata("invariant.load", builder.module.add_metadata([]))
        return word

    def pointer(self, builder: ir.IRBuilder, name: str) -> Value:
        """The word as a pointer."""
        return builder.inttoptr(self.load(builder, name), POINTER)

    def entry(self, builder: ir.IRBuilder, name: str, index: int) -> Value:
        """Word `index` of the array of words that the field points to."""
        place = builder.gep(self.pointer(builder, name), [I64(8 * index)], source_etype=I8)
        return builder.load(place, typ=I64, align=8)
