"""Instruction descriptors of tcgen05.mma: the 32-bit words that give shape, types and signs of one product."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_FLOATS = {0: "e4m3", 1: "e5m2", 3: "e2m3", 4: "e3m2", 5: "e2m1"}
_RESULTS = {0: "f16", 1: "f32", 2: "s32"}


@dataclass(frozen=True)
class _Kind:
    """What one `.kind` allows: operand types by code, results, and the depth k of a dense product."""

    depth: int
    types: dict[int, str]
    results: tuple[str, ...] = ("f32",)
    scales: dict[int, str] | None = None  # codes of the scale type; None where the kind has no block scaling


# PTX ISA, "Instruction descriptor" (tcgen05), tables for the kinds without and with block scaling.
_KINDS = {
    "f16": _Kind(16, {0: "f16", 1: "bf16"}, ("f16", "f32")),
    "tf32": _Kind(8, {2: "tf32"}),
    "f8f6f4": _Kind(32, _FLOATS, ("f16", "f32")),
    "i8": _Kind(32, {0: "u8", 1: "s8"}, ("s32",)),
    "mxf8f6f4": _Kind(32, _FLOATS, scales={1: "ue8m0"}),
    "mxf4": _Kind(64, {1: "e2m1"}, scales={1: "ue8m0"}),
    "mxf4nvf4": _Kind(64, {1: "e2m1"}, scales={0: "ue4m3", 1: "ue8m0"}),
}


@dataclass(frozen=True)
class InstructionDescriptor:
    """One product D (m x n) = A (m x k) * B (k x n) + D; `k` is the depth of one instruction.

    A or B is MN-major in shared memory where `transpose_a` or `transpose_b` is set. `scale_type` and the two ids (the
    byte of a tensor memory column that holds the first scale factor) are for the block-scaled kinds.
    """

    kind: str
    m: int
    n: int
    k: int
    a_type: str
    b_type: str
    d_type: str
    negate_a: bool = False
    negate_b: bool = False
    transpose_a: bool = False
    transpose_b: bool = False
    saturate: bool = False
    scale_type: str | None = None
    a_scale_id: int = 0
    b_scale_id: int = 0


@lru_cache(maxsize=1024)
def decode(word: int, kind: str) -> InstructionDescriptor | None:
    """The descriptor in a 32-bit word for `.kind::{kind}`; None for a kind that is not known here.

    ValueError names a field that has no meaning, or that asks for what is not implemented (sparsity, k of 96).
    """
    rules = _KINDS.get(kind)
    if rules is None:
        return None
    _refuse(word, 2, 1, "sparsity (bit 2) is not implemented")
    _refuse(word, 6, 1, "reserved bit 6 is set")
    common = _common(word, kind, rules)
    return InstructionDescriptor(**common, **(_plain(word, rules) if rules.scales is None else _scaled(word, rules)))


def _common(word: int, kind: str, rules: _Kind) -> dict[str, Any]:
    shape = {"m": _field(word, 24, 5) << 4, "n": _field(word, 17, 6) << 3, "k": rules.depth}
    if shape["m"] not in (32, 64, 128, 256):
        raise ValueError(f"instruction descriptor: M (bits 24-28) is {shape['m']}, not 32, 64, 128 or 256")
    if not 8 <= shape["n"] <= 256:
        raise ValueError(f"instruction descriptor: N (bits 17-22) is {shape['n']}, not in 8 to 256")
    types = {
        "a_type": _look_up(rules.types, _field(word, 7, 3), "type of A (bits 7-9)"),
        "b_type": _look_up(rules.types, _field(word, 10, 3), "type of B (bits 10-12)"),
    }
    flags = {name: bool(_field(word, bit, 1)) for name, bit in _FLAGS.items()}
    if rules.results == ("s32",) and (flags["negate_a"] or flags["negate_b"]):
        raise ValueError("instruction descriptor: integers cannot be negated (bits 13-14)")
    return {"kind": kind, **shape, **types, **flags}


_FLAGS = {"negate_a": 13, "negate_b": 14, "transpose_a": 15, "transpose_b": 16}


def _plain(word: int, rules: _Kind) -> dict[str, Any]:
    _refuse(word, 23, 1, "reserved bit 23 is set")
    _refuse(word, 29, 1, "reserved bit 29 is set")
    result = _look_up(_RESULTS, _field(word, 4, 2), "type of D (bits 4-5)")
    if result not in rules.results:
        raise ValueError(f"instruction descriptor: type of D (bits 4-5) is {result}, not {' or '.join(rules.results)}")
    saturate = bool(_field(word, 3, 1))
    if saturate and result != "s32":
        raise ValueError("instruction descriptor: saturation (bit 3) is for integers")
    return {"d_type": result, "saturate": saturate}


def _scaled(word: int, rules: _Kind) -> dict[str, Any]:
    _refuse(word, 3, 1, "reserved bit 3 is set")
    _refuse(word, 31, 1, "k of 96 (bit 31) is not implemented")
    return {
        "d_type": "f32",
        "scale_type": _look_up(rules.scales or {}, _field(word, 23, 1), "scale type (bit 23)"),
        "a_scale_id": _field(word, 29, 2),
        "b_scale_id": _field(word, 4, 2),
    }


def _look_up(table: dict[int, str], code: int, name: str) -> str:
    if code not in table:
        raise ValueError(f"instruction descriptor: {name} has no code {code}")
    return table[code]


def _refuse(word: int, start: int, width: int, message: str) -> None:
    if _field(word, start, width):
        raise ValueError(f"instruction descriptor: {message}")


def _field(word: int, start: int, width: int) -> int:
    return word >> start & ((1 << width) - 1)
