"""Fragment layouts of mma.sync, ldmatrix and stmatrix (PTX ISA, "Warp level matrix instructions")."""

from __future__ import annotations

from functools import cache

from backends.emulator.tensor.fragments import Fragment

# Types of A and B (first column) and the depths k that mma.sync has for them, by rows m of the tile (n is always 8).
_DEPTHS: dict[tuple[int, str], tuple[int, ...]] = {
    **{(16, name): (8, 16) for name in ("f16", "bf16")},
    (16, "tf32"): (4, 8),
    **{(16, name): (16, 32) for name in ("s8", "u8", "e4m3", "e5m2")},
    **{(16, name): (32, 64) for name in ("s4", "u4")},
    (16, "b1"): (128, 256),
    (16, "f64"): (4, 8, 16),
    **{(8, name): (16,) for name in ("s8", "u8")},
    **{(8, name): (32,) for name in ("s4", "u4")},
    (8, "b1"): (128,),
    (8, "f64"): (4,),
}
_BITS = {"f64": 64, "tf32": 32, "f32": 32, "s32": 32, "f16": 16, "bf16": 16, "b1": 1, "s4": 4, "u4": 4}
_BITS |= dict.fromkeys(("s8", "u8", "e4m3", "e5m2"), 8)


@cache
def mma(m: int, n: int, k: int, operand: str, element: str) -> Fragment | None:
    """Layout of operand `a` (m x k), `b` (k x n), or `c`/`d` (m x n) of `mma.sync.m..n..k..` for one element type.

    None for a shape or type that the instruction does not have here (`m8n8k4.f16` among them).
    """
    if n != 8 or m not in (8, 16):
        return None
    if operand in ("c", "d"):
        return _accumulator(m, element)
    if k not in _DEPTHS.get((m, element), ()):
        return None
    return _multiplicand(m, k, operand, _BITS[element])


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
