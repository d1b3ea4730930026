"""Operands worth trying: edge values of every type, and random bits, as Python ints."""

from __future__ import annotations

import random
from functools import cache

from tests.backends.emulator.semantics.model import FORMATS, fraction_bits, width, write

_FLOAT_EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 0.75, 2.0, 126.0, -3.5, 0.25, 6.0, 4.0)


def _float_edges(element_type: str) -> list[int]:
    form, below = FORMATS[element_type], fraction_bits(element_type)
    if form.width <= 8:
        return list(range(1 << form.width))
    unit, top = 1 << below, (1 << form.width - 1) - (1 << below)
    corners = [1, 2, unit - 1, unit, unit + 1, 2 * unit, top - 1, top, top - unit, top + 1]
    return [write(x, element_type) for x in _FLOAT_EDGES] + corners + [x | 1 << form.width - 1 for x in corners]


def _integer_edges(bits: int) -> list[int]:
    near = [0, 1, 2, 3, 5, 7, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256, 0x1F1F, 0x7FFF, 0xFFFF]
    high = [1 << bits - 1, (1 << bits - 1) - 1, (1 << bits - 1) + 1, 1 << bits - 2, 0x5555 << bits // 2, 1 << bits // 2]
    return [x % (1 << bits) for x in near + high + [-x for x in near[1:8]]]


@cache
def edges(element_type: str) -> list[int]:
    """Bit patterns at the corners of a type."""
    if element_type == "pred":
        return [0, 1]
    return _float_edges(element_type) if element_type in FORMATS else _integer_edges(width(element_type))


def _near_one(element_type: str, rng: random.Random) -> int:
    """A random float of moderate size, often with few bits."""
    form, below = FORMATS[element_type], fraction_bits(element_type)
    one = write(1.0, element_type)
    kept = rng.choice((below, below, 2, below // 2))
    fraction = rng.getrandbits(below) >> (below - kept) << (below - kept)
    return (one + (rng.randint(-6, 6) << below) | fraction) | rng.getrandbits(1) << form.width - 1


def draw(element_type: str, rng: random.Random) -> int:
    """An edge value, a moderate float, or random bits."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(edges(element_type))
    if kind < 0.8 and element_type in FORMATS and FORMATS[element_type].width > 8:
        return _near_one(element_type, rng)
    return rng.getrandbits(width(element_type))
