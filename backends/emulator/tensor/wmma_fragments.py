"""Fragment layouts of wmma: opaque to the program, so these are this device's own, built from tiles of mma.sync."""

from __future__ import annotations

from functools import cache

from backends.emulator.tensor.fragments import Fragment

# Shapes (m, n, k) -> element types of A and B (PTX ISA, "Matrix data-types" and "Matrix shape" of wmma).
_LARGE = ("f16", "bf16", "s8", "u8")
_SHAPES = {
    **dict.fromkeys(((16, 16, 16), (32, 8, 16), (8, 32, 16)), _LARGE),
    (16, 16, 8): ("tf32",),
    (8, 8, 4): ("f64",),
    (8, 8, 32): ("s4", "u4"),
    (8, 8, 128): ("b1",),
}
_BITS = {"f64": 64, "tf32": 32, "f16": 16, "bf16": 16, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "b1": 1}
_RESULTS = {"f16": ("f32", "f16"), "bf16": ("f32",), "tf32": ("f32",), "f64": ("f64",)}
_F16_REGISTERS = 8  # an f16 operand always has 8 registers, and holds every element as often as fits


@cache
def wmma(m: int, n: int, k: int, operand: str, element: str) -> Fragment | None:
    """Layout of operand `a` (m x k), `b` (k x n), or `c`/`d` (m x n), with the number of registers of the PTX ISA.

    A load is `scatter` of the matrix read from memory, a store `gather`. None for a shape or type that wmma has not.
    """
    types = _SHAPES.get((m, n, k), ())
    if operand in ("c", "d"):
        results = {result for name in types for result in _RESULTS.get(name, ("s32",))}
        return _accumulator(m, n, element) if element in results else None
    return _multiplicand(m, n, k, operand, element) if element in types else None


def _multiplicand(m: int, n: int, k: int, operand: str, element: str) -> Fragment:
    bits = _BITS[element]
    width = max(32, bits)
    run = width // bits
    outer = (m if operand == "a" else n) // 8
    chunks = k // (4 * run)
    copies = _F16_REGISTERS // (outer * chunks) if element == "f16" else 1
    target = "h g / k t e" if operand == "a" else "k t e / h g"
    return Fragment(f"k{chunks} h{outer} / g8 t4 / e{run} -> {target}", bits, width, copies)


def _accumulator(m: int, n: int, element: str) -> Fragment:
    bits = 64 if element == "f64" else 32
    tiles = f"h{m // 8} j{n // 8}"
    if element == "f16":
        return Fragment(f"{tiles} / g8 t4 / e2 -> h g / j t e", 16)
    return Fragment(f"{tiles} e2 / g8 t4 / -> h g / j t e", bits, bits)
