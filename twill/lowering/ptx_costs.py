"""What one PTX instruction of a warp costs on a sub-core: a table from opcode patterns to pipe, latency, occupancy.

Rates are those of the machine file, per SM; a sub-core has a quarter. Instructions that the assembler expands into
several (division, 64-bit arithmetic) take as many issue slots. Register copies and the packing of register pairs cost
nothing: the assembler renames them away. Shared-memory accesses are taken to be free of bank conflicts, global ones to
be coalesced and to hit the L2 cache.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from backends.machines.loader import rate
from ir.loop import Operation
from ir.machine import Machine
from twill.frontend.ptx.opcodes import access_bytes
from twill.lowering.ptx_machine import SUBCORES


@dataclass(frozen=True)
class Cost:
    """`pipe` None: issue alone. `occupancy_cycles`: of the pipe. `slots`: issue slots, 0 for what is renamed away."""

    pipe: str | None = None
    latency_cycles: int = 1
    occupancy_cycles: int = 1
    slots: int = 1
    variable: bool = False


@dataclass(frozen=True)
class Shape:
    """Instruction and machine, with what the rules ask of them."""

    operation: Operation
    machine: Machine
    warps: int
    constant: Callable[[str], int | None]

    def rate(self, name: str) -> float:
        """A number of the machine file; UserError at the instruction where it is missing."""
        return rate(self.machine, name, self.operation.location)

    def cycles(self, name: str) -> int:
        """A rate that is a latency."""
        return math.ceil(self.rate(name))

    def lanes(self, name: str, results: int = 1) -> int:
        """Cycles of the sub-core's pipe for a warp's `results` per lane at `name` results a cycle of the SM."""
        return max(1, math.ceil(self.machine.threads_per_warp * results * SUBCORES / self.rate(name)))

    @property
    def opcode(self) -> str:
        """The opcode with its modifiers."""
        return self.operation.opcode


Rule = Callable[[Shape], Cost]


def cost_of(shape: Shape) -> Cost:
    """The cost of an instruction: the first rule whose pattern its opcode starts with."""
    return _rule(shape.opcode)(shape)


@cache
def _rule(opcode: str) -> Rule:
    return next(rule for pattern, rule in _COMPILED if pattern.match(opcode))


# Rules


def _free(_: Shape) -> Cost:
    return Cost(latency_cycles=0, slots=0)


def _issue(_: Shape) -> Cost:
    return Cost()


def _pipe(pipe: str, lanes: str, latency: str = "alu_latency_cycles", slots: int = 1) -> Rule:
    """`slots` instructions in a chain on one pipe."""

    def rule(shape: Shape) -> Cost:
        return Cost(pipe, slots * shape.cycles(latency), slots * shape.lanes(lanes), slots)

    return rule


def _packed(pipe: str, lanes: str) -> Rule:
    """Two results per lane in one instruction."""
    return lambda shape: Cost(pipe, shape.cycles("alu_latency_cycles"), shape.lanes(lanes, 2))


def _half(shape: Shape) -> Cost:
    # A scalar half instruction takes the slot of a packed one.
    return Cost("fma", shape.cycles("alu_latency_cycles"), shape.lanes("fp16_lanes_per_cycle", 2))


def _convert(lanes: str) -> Rule:
    """Conversions at a quarter of the integer rate or less run on the MUFU pipe."""

    def rule(shape: Shape) -> Cost:
        pipe, latency = "alu", "alu_latency_cycles"
        if shape.rate(lanes) <= shape.rate("sfu_results_per_cycle"):
            pipe, latency = "sfu", "sfu_latency_cycles"
        return Cost(pipe, shape.cycles(latency), shape.lanes(lanes))

    return rule


def _mufu(arithmetic: int = 0) -> Rule:
    """One special-function result and a chain of `arithmetic` instructions around it."""

    def rule(shape: Shape) -> Cost:
        latency = shape.cycles("sfu_latency_cycles") + arithmetic * shape.cycles("alu_latency_cycles")
        return Cost("sfu", latency, shape.lanes("sfu_results_per_cycle"), 1 + arithmetic)

    return rule


def _sequence(latency: str) -> Rule:
    """A software sequence of known latency, taken for a chain of arithmetic instructions."""

    def rule(shape: Shape) -> Cost:
        cycles = shape.cycles(latency)
        return Cost("alu", cycles, slots=max(1, cycles // shape.cycles("alu_latency_cycles")))

    return rule


def _access(latency: str, variable: bool = False) -> Rule:
    """A load or store: 128 bytes a cycle of the SM, one warp instruction a cycle at most."""

    def rule(shape: Shape) -> Cost:
        return Cost("lsu", shape.cycles(latency), _transfer(shape, access_bytes(shape.opcode)), variable=variable)

    return rule


def _transfer(shape: Shape, bytes_per_lane: int) -> int:
    total = shape.machine.threads_per_warp * bytes_per_lane
    return SUBCORES * max(1, math.ceil(total / shape.rate("smem_bytes_per_cycle")))


def _matrix(latency: str) -> Rule:
    """ldmatrix and stmatrix: 8x8 matrices of 16 bits, `.x4` four of them."""

    def rule(shape: Shape) -> Cost:
        found = re.search(r"\.x(\d)", shape.opcode)
        matrix_bytes = 128 * int(found[1] if found else 1)
        occupancy = SUBCORES * max(1, math.ceil(matrix_bytes / shape.rate("smem_bytes_per_cycle")))
        return Cost("lsu", shape.cycles(latency), occupancy)

    return rule


def _copy(shape: Shape) -> Cost:
    size = next(iter(_immediates(shape.operation)), 16)
    return Cost("lsu", shape.cycles("cp_async_latency_cycles"), _transfer(shape, size), variable=True)


def _tma(shape: Shape) -> Cost:
    return Cost("tma", shape.cycles("tma_latency_cycles"), SUBCORES, variable=True)


def _shuffle(shape: Shape) -> Cost:
    return Cost("lsu", shape.cycles("shuffle_latency_cycles"), shape.lanes("shuffle_lanes_per_cycle"))


def _fixed(latency: str) -> Rule:
    return lambda shape: Cost(latency_cycles=max(1, shape.cycles(latency)))


def _barrier(shape: Shape) -> Cost:
    # 21 cycles and 2 for each warp on A100; the fixed part is the machine's.
    return Cost(latency_cycles=shape.cycles("ptx_barrier_cycles") + 2 * shape.warps)


def _wait(shape: Shape) -> Cost:
    return Cost(latency_cycles=max(1, shape.machine.wait_cycles))


# Tensor cores

_MMA_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_TENSOR_RATES = (
    (r"e[45]m|e2m|e3m|kind::f8f6f4|kind::mx", "fp8"),
    (r"tf32", "tf32"),
    (r"\.[su][84]\b|kind::i8|\.b1\b", "int8"),
    (r"bf16", "bf16"),
    (r"f64\.f64", "fp64"),
    (r"", "fp16"),
)
_KIND_K = {"fp16": 16, "tf32": 8, "fp8": 32, "int8": 32}
_ASSUMED_TILE = (128, 128)


def _tensor_type(opcode: str) -> str:
    return next(name for pattern, name in _TENSOR_RATES if re.search(pattern, opcode))


def _tensor_rate(shape: Shape) -> float:
    return shape.rate(f"tensor_{_tensor_type(shape.opcode)}_flop_per_cycle")


def _mma(shape: Shape) -> Cost:
    """mma.sync: the warp's own tensor core, at the part of the peak that mma.sync reaches."""
    found = _MMA_SHAPE.search(shape.opcode)
    m, n, k = map(int, found.groups()) if found else (16, 16, 16)
    fraction = shape.machine.rates.get("mma_sync_fraction", 1.0)
    sparse = 2 if ".sp" in shape.opcode else 1
    occupancy = math.ceil(2 * m * n * k * SUBCORES / (_tensor_rate(shape) * fraction * sparse))
    return Cost("tensor", max(shape.cycles("mma_latency_cycles"), occupancy), occupancy)


def _wgmma(shape: Shape) -> Cost:
    found = _MMA_SHAPE.search(shape.opcode)
    m, n, k = map(int, found.groups()) if found else (64, 64, 16)
    occupancy = math.ceil(2 * m * n * k / _tensor_rate(shape))
    return Cost("tensor", occupancy + shape.cycles("wgmma_pipeline_cycles"), occupancy, variable=True)


def _tcgen05(shape: Shape) -> Cost:
    """M and N stand in the instruction descriptor (PTX ISA: bits 24-28 M / 16, bits 17-22 N / 8).

    One CTA takes as long for 64 rows as for 128 (measured on B200); of a pair of CTAs each computes half the rows.
    """
    descriptor = next(filter(None, map(shape.constant, shape.operation.operands[3:4])), None)
    m, n = ((descriptor >> 24 & 31) * 16, (descriptor >> 17 & 63) * 8) if descriptor else _ASSUMED_TILE
    rows = m // 2 if "cta_group::2" in shape.opcode else max(m, 128)
    k = _KIND_K[_tensor_type(shape.opcode)]
    occupancy = math.ceil(2 * max(rows, 1) * max(n, 1) * k / _tensor_rate(shape))
    return Cost("tensor", occupancy + shape.cycles("tcgen05_pipeline_cycles"), occupancy, variable=True)


def _tensor_memory(direction: str) -> Rule:
    """tcgen05.ld and .st: a warp moves a register of each of its threads for each column."""

    def rule(shape: Shape) -> Cost:
        found = re.search(r"\.x(\d+)", shape.opcode)
        moved = 4 * shape.machine.threads_per_warp * int(found[1] if found else 1)
        occupancy = max(1, math.ceil(moved * SUBCORES / shape.rate(f"tmem_{direction}_bytes_per_cycle")))
        return Cost("lsu", occupancy + shape.cycles(f"tmem_{direction}_latency_cycles"), occupancy)

    return rule


def _immediates(operation: Operation) -> tuple[int, ...]:
    numbers = operation.attributes.get("immediates", ())
    return numbers if isinstance(numbers, tuple) else ()


_INT = _pipe("alu", "int32_lanes_per_cycle")
_INT2 = _pipe("alu", "int32_lanes_per_cycle", slots=2)
_INT4 = _pipe("alu", "int32_lanes_per_cycle", slots=4)
_LOGIC = _pipe("alu", "logic_lanes_per_cycle")
_LOGIC2 = _pipe("alu", "logic_lanes_per_cycle", slots=2)
_FP32 = _pipe("fma", "fp32_lanes_per_cycle")
_FP64 = _pipe("fp64", "fp64_lanes_per_cycle", "ptx_fp64_latency_cycles")
_MUL = _pipe("fma", "int32_mul_lanes_per_cycle")
_MUL4 = _pipe("fma", "int32_mul_lanes_per_cycle", slots=4)
_MINMAX = _pipe("alu", "minmax_lanes_per_cycle")

_ARITHMETIC = r"(add|sub|mul|fma|mad|neg|abs)"
# First match wins.
RULES: tuple[tuple[str, Rule], ...] = (
    # Renamed away, or operands of other instructions.
    (r"mov\.|ld\.param|cvta\.param|alloca|stack|pmevent|isspacep|istypep|applypriority|discard", _free),
    # Tensor cores and asynchronous copies.
    (r"mma\.|wmma\.mma", _mma),
    (r"wgmma\.mma_async", _wgmma),
    (r"tcgen05\.mma", _tcgen05),
    (r"tcgen05\.ld", _tensor_memory("load")),
    (r"tcgen05\.st", _tensor_memory("store")),
    (r"wgmma\.|tcgen05\.", _issue),
    (r"cp\.async\.(commit_group|wait_group|wait_all|mbarrier|bulk\.(commit_group|wait_group))", _issue),
    (r"cp\.async\.bulk|cp\.reduce", _tma),
    (r"cp\.", _copy),
    # Memory.
    (r"ldmatrix|movmatrix", _matrix("ldmatrix_latency_cycles")),
    (r"stmatrix", _matrix("smem_store_latency_cycles")),
    (r"wmma\.", _access("smem_load_latency_cycles")),
    (r"(ld|ldu)\b.*\.shared", _access("smem_load_latency_cycles")),
    (r"ld\b.*\.const", _access("ptx_const_latency_cycles")),
    (r"ld\b.*\.local", _access("ptx_l1_latency_cycles")),
    (r"(ld|ldu|tex|tld4|suld|multimem\.ld_reduce)\b", _access("l2_latency_cycles", variable=True)),
    (r"(atom|red)\b.*\.shared", _access("smem_load_latency_cycles")),
    (r"(atom|red|sured|multimem)\b", _access("l2_latency_cycles", variable=True)),
    (r"(st|sust)\b", _access("smem_store_latency_cycles")),
    (r"(prefetch|prefetchu|tensormap|mapa|getctarank|txq|suq)\b", _access("smem_store_latency_cycles")),
    # Synchronisation and exchange between lanes.
    (r"(bar|barrier)(\.cta)?(\.(sync|red))|barrier\.cluster\.wait", _barrier),
    (r"(bar|barrier)\b", _issue),
    (r"mbarrier\.(try_wait|test_wait)", _wait),
    (r"mbarrier\.", _access("smem_store_latency_cycles")),
    (r"membar|fence\.(acq_rel|sc)", _fixed("ptx_membar_cycles")),
    (r"fence", _fixed("fence_cycles")),
    (r"shfl", _shuffle),
    (r"(vote|match|activemask|elect|fns)\b", _fixed("ptx_vote_latency_cycles")),
    (r"redux", _fixed("ptx_redux_latency_cycles")),
    (r"bra|brx|call|ret|exit|trap|brkpt|nanosleep|setmaxnreg|griddepcontrol|clusterlaunchcontrol|createpolicy", _issue),
    # Software sequences and special functions.
    (r"(div|rcp|sqrt|rsqrt)\b.*f64", _sequence("ptx_div_f64_latency_cycles")),
    (r"div\.rn|div\.r[zpm]", _sequence("ptx_div_f32_latency_cycles")),
    (r"div\.(full|approx)", _mufu(4)),
    (r"(rcp|sqrt)\.r[nzpm]", _sequence("ptx_rcp_f32_latency_cycles")),
    (r"(div|rem)\b.*64", _sequence("ptx_div_u64_latency_cycles")),
    (r"(div|rem)\b", _sequence("ptx_div_u32_latency_cycles")),
    (r"ex2|rcp|tanh", _mufu()),
    (r"lg2|sqrt|rsqrt|sin|cos", _mufu(1)),
    (r"(popc|clz|brev|bfind)\b", _pipe("sfu", "sfu_results_per_cycle", "sfu_latency_cycles")),
    # Conversions.
    (r"cvt\b.*f64", _FP64),
    (
        r"cvt\b.*\.([su](8|16|32|64)\.(f32|f16|bf16)|(f32|f16|bf16)\.[su](8|16|32|64))\b",
        _convert("cvt_f32_i32_per_cycle"),
    ),
    (r"cvt\b.*(f16|tf32|e\dm\d)", _convert("cvt_f32_f16_per_cycle")),
    (r"(cvt|cvta|szext)\b", _LOGIC),
    # Arithmetic.
    (rf"{_ARITHMETIC}\b.*f32x2", _packed("fma", "fp32_lanes_per_cycle")),
    (rf"({_ARITHMETIC[1:-1]}|min|max|set|setp|selp|testp)\b.*f64", _FP64),
    (rf"{_ARITHMETIC}\b.*f32", _FP32),
    (rf"{_ARITHMETIC}\b.*f16", _half),
    (r"(min|max)\b", _MINMAX),
    (r"(mul|mad|madc)\b.*\.[sub]64", _MUL4),
    (r"mul24|mad24", _INT2),
    (r"(mul|mad|madc|dp2a|dp4a)\b", _MUL),
    (r"(add|sub|addc|subc|neg|abs)\b.*64", _INT2),
    (r"(add|sub|addc|subc|neg|abs|sad)\b", _INT),
    (r"(shl|shr|and|or|xor|not|cnot)\b.*64", _LOGIC2),
    (r"(copysign|shl|shr|shf|and|or|xor|not|cnot|lop3|prmt|set|setp|selp|slct|testp|bmsk|pack|unpack)\b", _LOGIC),
    (r"(bfe|bfi)\b", _LOGIC2),
    # SIMD video instructions are emulated.
    (r"v(abs|add|sub|avrg|mad|max|min|set|shl|shr)", _INT4),
    # Types that PTX does not have for the opcode.
    (r"", _INT),
)
_COMPILED = tuple((re.compile(pattern), rule) for pattern, rule in RULES)
