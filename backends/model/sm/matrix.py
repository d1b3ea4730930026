"""Matrix instructions: mma.sync and wgmma on the tensor core of a sub-core, tcgen05 on that of the SM."""

from __future__ import annotations

import re
from math import ceil
from typing import TYPE_CHECKING

from backends.model.parameters import SUB_CORES, SmParameters
from backends.model.sm.program import Program, Record
from backends.model.sm.state import Warp, signal
from backends.model.sm.sync import arrive, next_use, takes_part
from backends.sass.widths import MATRIX_SHAPES
from ir.diagnostics import fail
from ir.machine import RateTable

if TYPE_CHECKING:
    from backends.model.sm.engine import Engine

_WGMMA_SHAPE = re.compile(r"(\d+)x(\d+)x(\d+)")
# Opcode or modifier -> the rate's name; the first that fits.
_FORMATS = (("TF32", "tf32"), ("BF16", "bf16"), ("DMMA", "fp64"), ("IMMA", "int8"), ("QMMA", "fp8"), ("HMMA", "fp16"))
_DEFAULT_SHAPE = (128, 128, 1)
_TMEM_LANES = 32


def prepare_mma(program: Program, record: Record) -> None:
    """Cycles on the sub-core's tensor core: the operations over its quarter of the SM's rate."""
    instruction = record.instruction
    digits = next((m for m in instruction.modifiers if m in MATRIX_SHAPES), None)
    if digits is None:
        program.assume(record, "matrix-shape-unknown", "taken for m16n8k16")
    m, n, k = MATRIX_SHAPES[digits or "16816"]
    sparse = 2 if "SP" in instruction.modifiers else 1
    fraction = program.parameters.machine.rates.get("mma_sync_fraction", 1.0)
    flop_per_cycle = _tensor_rate(program.parameters, record) / SUB_CORES * fraction
    record.interval = _exact(2 * m * n * k / flop_per_cycle / sparse)
    record.latency = program.parameters.cycles("mma_latency_cycles")


def _tensor_rate(parameters: SmParameters, record: Record) -> float:
    """Floating-point operations of the SM in a cycle, for the instruction's format."""
    instruction = record.instruction
    words = (instruction.opcode, *instruction.modifiers)
    name = next(name for word, name in _FORMATS if any(word in w for w in words))
    half_sums = f"tensor_{name}_fp16acc_flop_per_cycle"
    if name == "fp16" and "F32" not in words and half_sums in parameters.machine.rates:
        return parameters.rate(half_sums)
    rate = f"tensor_{name}_flop_per_cycle"
    if rate not in parameters.machine.rates:
        message = f"machine {parameters.machine.name} states no rate for `{instruction.text}`"
        raise fail("missing-rate", message, instruction.location, f"add `{rate}` to [rates] of its machine file")
    return parameters.rate(rate)


def mma(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """mma.sync: what waits for its scoreboard gets the result after the latency."""
    signal(warp, record, now + record.latency, now + record.latency)


def prepare_wgmma(program: Program, record: Record) -> None:
    """Cycles of a wgmma of 64 x N and 32 bytes of K, from the machine's table; details: whether it ends a group."""
    shape = next((found for m in record.instruction.modifiers if (found := _WGMMA_SHAPE.fullmatch(m))), None)
    if shape is None:
        program.assume(record, "matrix-shape-unknown", "taken for 64x128x16")
    n = int(shape[2]) if shape else 128
    layout = "RS" if record.instruction.operands[1:2] and record.instruction.operands[1].startswith("R") else "SS"
    rows = {float(r[1]): float(r[2]) for r in program.parameters.table("wgmma").rows if r[0] == layout}
    record.interval = _exact(_between(rows, n))
    record.latency = ceil(record.interval)
    record.details = any(operand.startswith("gsb") for operand in record.instruction.operands)


def wgmma(_sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """wgmma: asynchronous; done when it leaves the tensor core. The last of a group names the group's counter."""
    done = now + record.latency
    if record.details:
        warp.matrices.append(done)
    signal(warp, record, now + record.step, done)


def prepare_tcgen05(program: Program, record: Record) -> None:
    """details: (cycles between such instructions, latency), from the machine's table for the shape that was given."""
    if record.shape is None:
        program.assume(record, "matrix-shape-unknown", "taken for m128n128, one CTA", "say its M, N and cta_group")
    m, n, group = (record.shape.m, record.shape.n, record.shape.cta_group) if record.shape else _DEFAULT_SHAPE
    layout = "TS" if record.instruction.operands[:1] and record.instruction.operands[0].startswith("tmem") else "SS"
    record.details = _tcgen05_cycles(program.parameters.table("tcgen05"), layout, group, m, n)


def _tcgen05_cycles(table: RateTable, layout: str, group: int, m: int, n: int) -> tuple[float, float]:
    wanted = (layout, group, m)
    rows = [r for r in table.rows if (r[0], r[1], r[2]) == wanted]
    if not rows:
        # A from tensor memory was measured with one CTA alone: the other layout gives the pair's rate.
        rows = [r for r in table.rows if (r[1], r[2]) == (group, m)] or [r for r in table.rows if r[2] == 128]
    latencies = {float(r[3]): float(r[4]) for r in rows}
    intervals = {float(r[3]): float(r[5]) for r in rows}
    return _between(intervals, n), _between(latencies, n)


def tcgen05(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """tcgen05.mma: one after the other on the SM's tensor core."""
    interval, latency = record.details
    begin = sm.hold("tensor", now, interval)
    warp.cta.tensor_done = max(warp.cta.tensor_done, ceil(begin + latency))
    signal(warp, record, now + record.step, now + record.step)


def prepare_tcgen05_copy(program: Program, record: Record) -> None:
    """details: cycles of a copy from shared to tensor memory, at the rate of shared memory."""
    amount = record.cost.bytes if record.cost else 0.0
    if not amount:
        program.assume(record, "memory-cost-unknown", "a copy into tensor memory of 4096 bytes")
    record.details = (amount or 4096.0) / program.parameters.rate("smem_bytes_per_cycle")


def tcgen05_copy(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """tcgen05.cp: in order with the matrix instructions."""
    begin = sm.hold("tensor", now, record.details)
    warp.cta.tensor_done = max(warp.cta.tensor_done, ceil(begin + record.details))


def prepare_commit(program: Program, record: Record) -> None:
    """Without a known mbarrier nobody can wait for it."""
    if record.barrier is None:
        program.assume(record, "mbarrier-unknown", "which barrier it completes is unknown", "say which")


def tcgen05_commit(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """tcgen05.commit: arrives when all matrix instructions before it are done."""
    if takes_part(warp, record):
        arrive(sm, warp.cta, record, next_use(warp, record), max(now, warp.cta.tensor_done))


def prepare_tmem_load(program: Program, record: Record) -> None:
    """Cycles of the path from tensor memory: 32 lanes of 4 bytes for each register."""
    parameters = program.parameters
    amount = _tmem_bytes(record)
    # The rate is that of the SM: each warp reads its own quarter of the lanes.
    record.interval = _exact(max(1.0, amount * SUB_CORES / parameters.rate("tmem_load_bytes_per_cycle")))
    record.latency = parameters.cycles("tmem_load_latency_cycles") + round(record.interval)


def prepare_tmem_store(program: Program, record: Record) -> None:
    """Cycles of the path into tensor memory."""
    parameters = program.parameters
    amount = _tmem_bytes(record)
    record.interval = _exact(max(1.0, amount * SUB_CORES / parameters.rate("tmem_store_bytes_per_cycle")))
    record.latency = parameters.cycles("tmem_store_latency_cycles") + round(record.interval)


def tmem_access(sm: Engine, warp: Warp, record: Record, now: int) -> None:
    """tcgen05.ld and tcgen05.st."""
    sm.count("tmem", _tmem_bytes(record))
    signal(warp, record, now + record.latency, now + record.latency)


def _tmem_bytes(record: Record) -> float:
    columns = next((int(m[1:]) for m in record.instruction.modifiers if re.fullmatch(r"x\d+", m)), 1)
    return 4.0 * _TMEM_LANES * columns


def _between(rows: dict[float, float], n: float) -> float:
    """The value at n, on the straight line between the nearest rows, and in proportion beyond the last."""
    if n in rows:
        return rows[n]
    below = max((x for x in rows if x < n), default=None)
    above = min((x for x in rows if x > n), default=None)
    if below is None or above is None:
        nearest = below if above is None else above
        assert nearest is not None
        return rows[nearest] * (n / nearest if below is not None else 1.0)
    return rows[below] + (rows[above] - rows[below]) * (n - below) / (above - below)


def _exact(cycles: float) -> float:
    return int(cycles) if cycles == int(cycles) else cycles
