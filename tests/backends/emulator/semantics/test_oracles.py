"""Every opcode of the table against the slow model, on edge values and random bits; a form without one fails."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from backends.emulator.semantics.forms import Opcode
from backends.emulator.semantics.packed import scalar
from backends.emulator.semantics.table import LaneFunction, lookup, lookup_pair, lookup_three, opcodes, storage
from tests.backends.emulator.semantics import oracle_compare, oracle_convert, oracle_float, oracle_integer
from tests.backends.emulator.semantics.cases import draw
from tests.backends.emulator.semantics.model import FORMATS, flushed, read

LANES = 128
# Bases with hundreds of forms that share their code need few lanes in each.
FEWER_LANES = {"set": 12, "setp": 24}
BASES = sorted({opcode.partition(".")[0] for opcode in opcodes()})
APPROXIMATE = ("approx", "full")
ORACLES: dict[str, Callable[..., tuple[int, ...]]] = {**oracle_compare.ORACLES, "cvt": oracle_convert.cvt}


def _oracle(op: Opcode) -> Callable[..., tuple[int, ...]]:
    """The model of `op`; KeyError if there is none."""
    if op.base in ORACLES:
        return ORACLES[op.base]
    is_float = op.type in FORMATS and op.base != "mov"
    return (oracle_float.ORACLES if is_float else oracle_integer.ORACLES)[op.base]


def _rng(opcode: str) -> random.Random:
    return random.Random(zlib.crc32(opcode.encode()))


def _is_packed(op: Opcode) -> bool:
    return op.type.endswith("x2") and op.base != "cvt"


def _element(element_type: str) -> str:
    """The type that a packed register holds, or a type whose bits serve as an operand."""
    return element_type.removesuffix("x2")


def _packed_source(element_type: str, rng: random.Random) -> int:
    """Two elements; formats of 6 bits sit in bytes."""
    one = _element(element_type)
    bits = storage(element_type).itemsize * 8 // 2
    is_number = one in FORMATS or (one[0] in "usb" and one[1:].isdigit())
    draws = [draw(one, rng) if is_number else rng.getrandbits(8) for _ in range(2)]
    return (draws[0] % (1 << bits)) << bits | draws[1] % (1 << bits)


def _sources(opcode: str, operands: Sequence[str]) -> list[list[int]]:
    rng = _rng(opcode)

    def one(element_type: str) -> int:
        return _packed_source(element_type, rng) if element_type.endswith("x2") else draw(element_type, rng)

    lanes = FEWER_LANES.get(opcode.partition(".")[0], LANES)
    return [[one(t) for _ in range(lanes)] for t in operands]


def _array(bits: list[int], element_type: str) -> np.ndarray:
    dtype = storage(element_type)
    if dtype == np.bool_:
        return np.array(bits, bool)
    return np.array(bits, f"u{dtype.itemsize}").view(dtype)


def _bits(array: np.ndarray) -> list[int]:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").tolist()


def _as_tuple(result: object) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def _apply(function: LaneFunction, sources: list[list[int]], strict: bool = True) -> list[tuple[int, ...]]:
    """The results of every lane, as bits."""
    arrays = [_array(bits, t) for bits, t in zip(sources, function.operands, strict=True)]
    chosen = function.strict if strict and function.strict else function.apply
    return list(zip(*map(_bits, _as_tuple(chosen(*arrays))), strict=True))


def _same(got: int, want: int, element_type: str) -> bool:
    """Equal bits; NaN of f64 has any payload."""
    if element_type == "f64" and math.isnan(read(want, "f64")):
        return math.isnan(read(got, "f64"))
    return got == want


def _expect(opcode: str, function: LaneFunction, oracle: Callable[..., tuple[int, ...]], op: Opcode) -> None:
    sources = _sources(opcode, function.operands)
    if op.base == "lop3":
        sources[3] = [sources[3][0] & 255] * LANES
        function = LaneFunction(
            function.operands, function.results, lambda a, b, c, lut, *q: function_apply(a, b, c, lut[0], *q)
        )
        function_apply = lookup(opcode).apply
    for lane, got in enumerate(_apply(function, sources)):
        values = [bits[lane] for bits in sources]
        want = oracle(op, *values)
        good = len(got) == len(want) and all(map(_same, got, want, function.results))
        assert good, f"{opcode} {[hex(v) for v in values]}: {[hex(v) for v in got]}, model {[hex(v) for v in want]}"


def _halves(word: int, bits: int) -> tuple[int, int]:
    return word & (1 << bits) - 1, word >> bits


def _packed_oracle(op: Opcode, function: LaneFunction) -> Callable[..., tuple[int, ...]]:
    """The model of one element, on both."""
    one, bits = scalar(op), storage(op.type).itemsize * 4

    def oracle(_: Opcode, *words: int) -> tuple[int, ...]:
        pairs = [(w, w) if t == "pred" else _halves(w, bits) for w, t in zip(words, function.operands, strict=True)]
        low, high = (_oracle(one)(one, *half)[0] for half in zip(*pairs, strict=True))
        return (low, high) if len(function.results) == 2 else (high << bits | low,)

    return oracle


def _is_approximate(op: Opcode) -> bool:
    return any(map(op.has, APPROXIMATE))


def _expect_close(opcode: str, op: Opcode, function: LaneFunction) -> None:
    """Within the tolerance of the ISA, and equal where the reference is zero, infinite or NaN."""
    one = scalar(op)
    absolute, relative = oracle_float.tolerance(one)
    sources = _sources(opcode, function.operands)
    bits = storage(op.type).itemsize * 8 // (2 if _is_packed(op) else 1)
    for lane, (got,) in enumerate(_apply(function, sources)):
        words = [source[lane] for source in sources]
        for shift in range(0, storage(op.type).itemsize * 8, bits):
            parts = [w >> shift & (1 << bits) - 1 for w in words]
            value, want = read(got >> shift & (1 << bits) - 1, one.type), oracle_float.approximate(one, *parts)
            assert _close(value, want, absolute, relative, one.type), (
                f"{opcode} {list(map(hex, parts))}: {value}, not {want}"
            )


def _close(value: float, want: float, absolute: float, relative: float, element_type: str) -> bool:
    if not math.isfinite(want) or want == 0:
        return str(value) == str(want)
    least = 2.0 ** (FORMATS[element_type].least_exponent - FORMATS[element_type].precision + 1)
    return abs(value - want) <= max(absolute, relative * abs(want), least)


@pytest.mark.parametrize("base", BASES)
def test_every_form(base: str) -> None:
    with np.errstate(all="ignore"):
        for opcode in opcodes():
            if opcode.partition(".")[0] != base:
                continue
            op, function = Opcode(opcode), lookup(opcode)
            if _is_approximate(op):
                _expect_close(opcode, op, function)
            else:
                oracle = _packed_oracle(op, function) if _is_packed(op) else _oracle(op)
                _expect(opcode, function, oracle, op)


def test_setp_with_both_destinations() -> None:
    with np.errstate(all="ignore"):
        for opcode in opcodes():
            op = Opcode(opcode)
            if op.base == "setp" and not _is_packed(op):
                _expect(opcode, lookup_pair(opcode), oracle_compare.setp_pair, op)


@pytest.mark.parametrize(
    "opcode", ["min.f32", "max.f32", "min.ftz.NaN.f32", "max.NaN.f32", "min.abs.f32", "max.NaN.abs.f32"]
)
def test_three_sources(opcode: str) -> None:
    with np.errstate(all="ignore"):
        _expect(opcode, lookup_three(opcode), oracle_float.extreme, Opcode(opcode))


def test_fast_results_differ_from_strict_ones_only_in_the_bits_of_nan() -> None:
    with np.errstate(all="ignore"):
        for opcode in opcodes():
            function = lookup(opcode)
            if not function.strict:
                continue
            sources = _sources(opcode, function.operands)
            (element_type,) = (t.removesuffix("x2") for t in function.results)
            for (fast,), (strict,) in zip(_apply(function, sources, False), _apply(function, sources), strict=True):
                for low in range(0, storage(function.results[0]).itemsize * 8, FORMATS[element_type].width):
                    a, b = (x >> low & (1 << FORMATS[element_type].width) - 1 for x in (fast, strict))
                    if a != b:
                        assert math.isnan(read(a, element_type)) and b == FORMATS[element_type].nan, opcode


def test_flushing_is_tested_at_all() -> None:
    assert flushed(2.0**-130, "f32") == 0.0 and flushed(-(2.0**-126), "f32") == -(2.0**-126)
