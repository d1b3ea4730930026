"""Types of values: element type, tile shape, pointers, tensor descriptors, and where a tile lives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Memory(StrEnum):
    """Where a tile lives; REGISTERS are spread over the threads of a warp group."""

    REGISTERS = "registers"
    SHARED = "smem"
    TENSOR = "tmem"
    GLOBAL = "global"


# Bits of every element type, by the name that Triton and MLIR print.
ELEMENT_BITS = {
    "i1": 1, "i4": 4, "i8": 8, "i16": 16, "i32": 32, "i64": 64,
    "f4E2M1FN": 4, "f8E4M3FN": 8, "f8E4M3FNUZ": 8, "f8E5M2": 8, "f8E5M2FNUZ": 8, "f8E4M3B11FNUZ": 8,
    "f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "index": 64, "i128": 128, "token": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Type:
    """An element, or a tile of `shape`; `pointer` marks addresses of it, `descriptor` a tensor descriptor.

    >>> str(Type("f16", (128, 64)))
    'tensor<128x64xf16>'
    >>> Type("f16", (128, 64)).bytes
    16384
    >>> str(Type("f16", (128, 64), pointer=True)), str(Type("f16", pointer=True))
    ('tensor<128x64x!ptr<f16>>', '!ptr<f16>')
    >>> str(Type("f16", (128, 64), descriptor=True))
    '!desc<128x64xf16>'
    """

    element: str
    shape: tuple[int, ...] = ()
    pointer: bool = False
    descriptor: bool = False
    memory: Memory = Memory.REGISTERS

    @property
    def element_bits(self) -> int:
        """Bits of one element; an address has 64."""
        return 64 if self.pointer else ELEMENT_BITS[self.element]

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the whole tile, rounded up."""
        return -(-self.elements * self.element_bits // 8)

    def __str__(self) -> str:
        dims = "".join(f"{n}x" for n in self.shape)
        if self.descriptor:
            return f"!desc<{dims}{self.element}>"
        element = f"!ptr<{self.element}>" if self.pointer else self.element
        if not self.shape:
            return element
        where = "" if self.memory is Memory.REGISTERS else f", {self.memory}"
        return f"tensor<{dims}{element}{where}>"
