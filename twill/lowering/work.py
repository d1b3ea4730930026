"""What elementwise operations cost: instructions for each element by kind, and the rate and unit of each kind.

Counts are those of the usual instruction sequences on NVIDIA GPUs with approximate functions, as Triton emits them;
where a sequence is longer than a few instructions its count is an estimate (marked below).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ir.types import Type


class Kind(StrEnum):
    """Kinds of instruction that have a rate of their own."""

    FLOAT = "float"
    INTEGER = "integer"
    MULTIPLY = "integer multiply"
    LOGIC = "logic"
    MINMAX = "minmax"
    CONVERT = "convert"
    CONVERT_INT = "convert to or from integer"
    SFU = "sfu"


Work = tuple[tuple[Kind, float], ...]

_F: Work = ((Kind.FLOAT, 1),)
_I: Work = ((Kind.INTEGER, 1),)
_M: Work = ((Kind.MULTIPLY, 1),)
_L: Work = ((Kind.LOGIC, 1),)
_X: Work = ((Kind.MINMAX, 1),)
_C: Work = ((Kind.CONVERT, 1),)
_CI: Work = ((Kind.CONVERT_INT, 1),)
_S: Work = ((Kind.SFU, 1),)
_S_F: Work = ((Kind.SFU, 1), (Kind.FLOAT, 1))
# Integer division has no instruction: about 33 of them (66 issue cycles on A100, Abdelkhalik et al.).
_DIVIDE: Work = ((Kind.INTEGER, 33),)
# Estimates: polynomials with range reduction.
_POLYNOMIAL: Work = ((Kind.FLOAT, 20),)
_PRECISE: Work = ((Kind.SFU, 1), (Kind.FLOAT, 8))
_EXTERNAL: Work = ((Kind.SFU, 2), (Kind.FLOAT, 20))

WORK: Mapping[str, Work] = {
    **dict.fromkeys(("arith.addf", "arith.subf", "arith.mulf", "math.fma", "arith.negf", "math.absf"), _F),
    **dict.fromkeys(("arith.maxnumf", "arith.minnumf", "arith.maximumf", "arith.minimumf"), _X),
    **dict.fromkeys(("arith.maxsi", "arith.minsi", "arith.maxui", "arith.minui"), _X),
    **dict.fromkeys(("arith.addi", "arith.subi", "math.absi", "tt.addptr"), _I),
    **dict.fromkeys(("arith.muli", "tt.mulhiui"), _M),
    **dict.fromkeys(("arith.mulsi_extended", "arith.mului_extended"), ((Kind.MULTIPLY, 2),)),
    **dict.fromkeys(("arith.addui_extended", "math.copysign"), ((Kind.LOGIC, 2),)),
    **dict.fromkeys(("math.isnan", "math.isinf", "math.isfinite"), _L),
    **dict.fromkeys(("arith.divsi", "arith.divui", "arith.remsi", "arith.remui"), _DIVIDE),
    **dict.fromkeys(("arith.floordivsi", "arith.ceildivsi", "arith.ceildivui"), _DIVIDE),
    **dict.fromkeys(("arith.andi", "arith.ori", "arith.xori", "arith.shli", "arith.shrsi", "arith.shrui"), _L),
    **dict.fromkeys(("arith.cmpi", "arith.cmpf", "arith.select"), _L),
    **dict.fromkeys(("arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast"), _L),
    **dict.fromkeys(("arith.truncf", "arith.extf", "tt.fp_to_fp"), _C),
    **dict.fromkeys(("arith.sitofp", "arith.uitofp", "arith.fptosi", "arith.fptoui"), _CI),
    **dict.fromkeys(("math.floor", "math.ceil", "math.round", "math.roundeven", "math.trunc"), _CI),
    **dict.fromkeys(("math.ctpop", "math.ctlz", "math.cttz"), ((Kind.INTEGER, 4),)),
    "tt.clampf": ((Kind.MINMAX, 2),),
    "arith.divf": ((Kind.SFU, 1), (Kind.FLOAT, 3)),
    "arith.remf": ((Kind.SFU, 1), (Kind.FLOAT, 8)),
    "tt.precise_divf": _PRECISE,
    "tt.precise_sqrt": _PRECISE,
    "math.exp2": _S,
    "math.exp": _S_F,
    "math.log2": _S,
    "math.log": _S_F,
    "math.sqrt": _S_F,
    "math.rsqrt": _S,
    "math.sin": _S_F,
    "math.cos": _S_F,
    "math.tanh": _S,
    "math.erf": _POLYNOMIAL,
    "math.expm1": ((Kind.SFU, 1), (Kind.FLOAT, 6)),
    "math.log1p": ((Kind.SFU, 1), (Kind.FLOAT, 6)),
    "math.powf": ((Kind.SFU, 2), (Kind.FLOAT, 8)),
    "tt.extern_elementwise": _EXTERNAL,
    "tt.elementwise_inline_asm": ((Kind.LOGIC, 8),),
    "tt.map_elementwise": ((Kind.LOGIC, 8),),
}
# Costs that no table gives: the report says so where one is used.
ESTIMATED = frozenset({"tt.extern_elementwise", "tt.elementwise_inline_asm", "tt.map_elementwise", "math.erf"})
# A change of type that keeps the bits.
FREE = frozenset({"arith.bitcast", "tt.bitcast", "tt.ptr_to_int", "tt.int_to_ptr"})

_RATES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.FLOAT: ("alu", "fp32_lanes_per_cycle", "alu_latency_cycles"),
    Kind.INTEGER: ("alu", "int32_lanes_per_cycle", "alu_latency_cycles"),
    Kind.MULTIPLY: ("alu", "int32_mul_lanes_per_cycle", "alu_latency_cycles"),
    Kind.LOGIC: ("alu", "logic_lanes_per_cycle", "alu_latency_cycles"),
    Kind.MINMAX: ("alu", "minmax_lanes_per_cycle", "alu_latency_cycles"),
    Kind.CONVERT: ("alu", "cvt_f32_f16_per_cycle", "alu_latency_cycles"),
    Kind.CONVERT_INT: ("alu", "cvt_f32_i32_per_cycle", "alu_latency_cycles"),
    Kind.SFU: ("sfu", "sfu_results_per_cycle", "sfu_latency_cycles"),
}
_HALF = ("f16", "bf16")
_WIDE_BITS = 64
# Instructions on 32-bit halves that one 64-bit integer operation takes.
_WIDE = {Kind.INTEGER: 2, Kind.MULTIPLY: 4, Kind.LOGIC: 2, Kind.MINMAX: 4}


def unit_and_rate(kind: Kind, element: str) -> tuple[str, str, str]:
    """Unit, name of the rate in results a cycle, and name of the latency, for one kind on one element type."""
    unit, rate, latency = _RATES[kind]
    if element == "f64":
        return "alu", "fp64_lanes_per_cycle", latency
    if element in _HALF and kind in (Kind.FLOAT, Kind.MINMAX):
        return unit, "fp16_lanes_per_cycle", latency
    return unit, rate, latency


def instructions(opcode: str, operand: Type, result: Type) -> Work:
    """Instructions for each element of an opcode of `WORK`.

    >>> instructions("arith.addi", Type("i64"), Type("i64"))
    ((<Kind.INTEGER: 'integer'>, 2),)
    >>> instructions("arith.extf", Type("bf16"), Type("f32"))
    ((<Kind.LOGIC: 'logic'>, 1),)
    """
    if opcode == "arith.extf" and operand.element == "bf16":
        return _L  # a shift into the upper half
    is_wide = max(operand.element_bits, result.element_bits) == _WIDE_BITS and operand.element != "f64"
    return tuple((kind, count * _WIDE.get(kind, 1) if is_wide else count) for kind, count in WORK[opcode])
