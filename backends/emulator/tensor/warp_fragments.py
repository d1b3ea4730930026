"""Fragment layouts of mma.sync, ldmatrix and stmatrix (PTX ISA, "Warp level matrix instructions")."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.tensor.fragments import Fragment

Array = NDArray[Any]

# Types of A and B (first column) and the depths k that mma.sync has for them, by rows m of the tile (n is always 8).
_DEPTHS: dict[tuple[int, str], tuple[int, ...]] = {
    **{(16, name): (8, 16) for name in ("f16", "bf16")},
    (16, "tf32"): (4, 8),
    **{(16, name): (16, 32) for name in ("s8", "u8", "e4m3", "e5m2")},
    **{(16, name): (32, 64) for name in ("s4", "u4")},
    **{(16, name): (32,) for name in ("e2m3", "e3m2")},
    (16, "e2m1"): (32, 64),
    (16, "b1"): (128, 256),
    (16, "f64"): (4, 8, 16),
    **{(8, name): (16,) for name in ("s8", "u8")},
    **{(8, name): (32,) for name in ("s4", "u4")},
    (8, "b1"): (128,),
    (8, "f64"): (4,),
}
_BITS = {"f64": 64, "tf32": 32, "f32": 32, "s32": 32, "f16": 16, "bf16": 16, "b1": 1, "s4": 4, "u4": 4}
_BITS |= dict.fromkeys(("s8", "u8", "e4m3", "e5m2", "e2m3", "e3m2"), 8)


@cache
def mma(m: int, n: int, k: int, operand: str, element: str) -> Fragment | None:
    """Layout of operand `a` (m x k), `b` (k x n), or `c`/`d` (m x n) of `mma.sync.m..n..k..` for one element type.

    Elements of 6 bits, and e2m1 with k = 32, lie one in a byte (`elements.from_container` takes them out); e2m1 with
    k = 64 is packed. None for a shape or type that the instruction does not have here (`m8n8k4.f16` among them).
    """
    if n != 8 or m not in (8, 16):
        return None
    if operand in ("c", "d"):
        return _accumulator(m, element)
    if k not in _DEPTHS.get((m, element), ()):
        return None
    return _multiplicand(m, k, operand, _bits(element, k))


def _bits(element: str, k: int) -> int:
    if element == "e2m1":
        return 4 if k == 64 else 8
    return _BITS[element]


def _multiplicand(m: int, k: int, operand: str, bits: int) -> Fragment:
    """Lane 4g + t: a register is a run of elements along k; four lanes make a chunk, registers step over chunks."""
    width = max(32, bits)
    per_register = width // bits
    chunks = k // (4 * per_register)
    if operand == "b":
        return Fragment(f"k{chunks} / g8 t4 / e{per_register} -> k t e / g", bits, width)
    return Fragment(f"k{chunks} h{m // 8} / g8 t4 / e{per_register} -> h g / k t e", bits, width)


def _accumulator(m: int, element: str) -> Fragment | None:
    """Lane 4g + t holds columns 2t and 2t + 1 of rows g and g + 8."""
    if element == "f16":
        return Fragment(f"h{m // 8} / g8 t4 / e2 -> h g / t e", 16)
    if element in ("f32", "s32"):
        return Fragment(f"h{m // 8} e2 / g8 t4 / -> h g / t e", 32)
    if element == "f64":
        return Fragment(f"h{m // 8} e2 / g8 t4 / -> h g / t e", 64, 64)
    return None


@cache
def matrix_rows(count: int, transpose: bool) -> Fragment | None:
    """Layout of `ldmatrix` and `stmatrix` `.m8n8.x{count}[.trans].b16`, as a matrix of 8 * count rows of 8 elements.

    Row 8q + r is the 16 bytes at the address that lane 8q + r gives. A load is `scatter(rows)`, with rows of shape
    (n, 8 * count, 8) uint16, and makes registers (count, n, 32) uint32; a store is `gather(registers)`.
    """
    if count not in (1, 2, 4):
        return None
    target = "q t e / g" if transpose else "q g / t e"
    return Fragment(f"q{count} / g8 t4 / e2 -> {target}", 16)


@cache
def byte_rows(count: int) -> Fragment | None:
    """Layout of `ldmatrix.m8n16.x{count}.b8x16` as a matrix of 8 * count rows of 16 bytes, one row to an address.

    A load is `scatter` of the rows (n, 8 * count, 16) uint8 that `decompress` makes of the 16 bytes at each address.
    """
    if count not in (1, 2, 4):
        return None
    return Fragment(f"q{count} / g8 t4 / e4 -> q g / t e", 8)


def decompress(rows: Array, source: str) -> Array:
    """16 bytes (..., 16) uint8 in a padded format -> 16 elements, one in the low bits of each byte (..., 16).

    `b4x16_p64` is 16 elements of 4 bits and 64 bits of padding, `b6x16_p32` 16 of 6 bits and 32 bits of padding.
    KeyError for another format.
    """
    bits = {"b4x16_p64": 4, "b6x16_p32": 6}[source]
    digits = np.unpackbits(rows[..., : 2 * bits], axis=-1, bitorder="little").reshape(*rows.shape[:-1], 16, bits)
    return np.packbits(digits, axis=-1, bitorder="little")[..., 0]


def transpose(registers: Array) -> Array:
    """`movmatrix.m8n8.trans.b16`: registers (1, n, 32) uint32 of an 8 x 8 matrix -> those of its transpose."""
    layout = Fragment("/ g8 t4 / e2 -> g / t e", 16)
    return layout.scatter(layout.gather(registers).transpose(0, 2, 1))
