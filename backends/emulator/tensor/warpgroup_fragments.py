"""Fragment layouts of wgmma.mma_async: accumulators, and A in registers (PTX ISA, "wgmma register fragments")."""

from __future__ import annotations

from functools import cache

from backends.emulator.tensor.fragments import Fragment

DEPTH_BYTES = 32  # one wgmma reads 32 bytes of k for every type but b1: k16 for 16 bits, k32 for 8 bits, k8 for tf32
_BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "s8": 8, "u8": 8}
# Integer instructions leave out most of the widths that are no multiple of 16.
_INTEGER_WIDTHS = (8, 16, 24, 32, *range(48, 257, 16))


def widths(element: str) -> tuple[int, ...]:
    """The tile widths n that wgmma has for an element type of A; empty where there is none.

    >>> widths("s8")[:6]
    (8, 16, 24, 32, 48, 64)
    """
    if element not in _BITS:
        return ()
    return _INTEGER_WIDTHS if element in ("s8", "u8") else tuple(range(8, 257, 8))


def depth(element: str) -> int | None:
    """The depth k of one wgmma for an element type of A."""
    return DEPTH_BYTES * 8 // _BITS[element] if element in _BITS else None


@cache
def wgmma_a(element: str) -> Fragment | None:
    """Layout of A (64 x k) in four registers a lane; registers are of shape (4, n, 4, 32)."""
    if element not in _BITS:
        return None
    bits = _BITS[element]
    return Fragment(f"k2 h2 / w4 g8 t4 / e{32 // bits} -> w h g / k t e", bits)


@cache
def wgmma_accumulator(n: int, element: str) -> Fragment | None:
    """Layout of D (64 x n): n/2 registers a lane for f32 and s32, n/4 for f16; registers are (count, n, 4, 32)."""
    if n not in range(8, 257, 8):
        return None
    if element == "f16":
        return Fragment(f"j{n // 8} h2 / w4 g8 t4 / e2 -> w h g / j t e", 16)
    if element in ("f32", "s32"):
        return Fragment(f"j{n // 8} h2 e2 / w4 g8 t4 / -> w h g / j t e", 32)
    return None
