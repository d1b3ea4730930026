"""sm_90: TMA loads, wgmma with the first operand from registers or shared memory and sums in registers."""

from __future__ import annotations

from ir.loop import Operation
from ir.types import Memory
from twill.lowering.context import Context, Family
from twill.lowering.draft import DraftOp, Refs, Tile
from twill.lowering.loads import specialized_load, specialized_load_memory
from twill.lowering.mma import multiply_synchronously
from twill.lowering.products import (
    Product,
    accumulator_edges,
    has_accumulator,
    product_of,
)
from twill.lowering.rules import name_of, tile_of

ROWS = 64  # of one wgmma, PTX ISA
_EITHER_MAJOR_BITS = 16
_TYPES = ("fp16", "bf16", "tf32", "fp8", "int8")


def _dot(context: Context, operation: Operation, copy: int | None) -> Tile:
    product = product_of(context, operation, copy)
    if product.m < ROWS or product.rate_key not in _TYPES:
        return multiply_synchronously(context, operation, copy)
    name = name_of(context, operation, copy)
    a, from_shared = _first_operand(context, context.tile(operation.operands[0], copy), name)
    b = _along_k(context, context.tile(operation.operands[1], copy), 0, name)
    op = DraftOp(
        name,
        operation.opcode,
        "tensor",
        tensor_cycles(context, product, from_shared, ROWS),
        context.costs.cycles("wgmma_pipeline_cycles"),
        context.costs.cycles("wgmma_issue_cycles"),
        asynchronous=True,
        location=operation.location,
        detail=f"wgmma {product}, A from {'shared memory' if from_shared else 'registers'}",
    )
    c = (
        context.registers(context.tile(operation.operands[2], copy), name)
        if has_accumulator(context, operation)
        else ()
    )
    result = context.type_of(operation.results[0].name, copy)
    refs = context.draft.add(context.in_registers(op, result), (*a, *b), accumulator_edges(c))
    return tile_of(context, operation, copy, refs, Memory.REGISTERS)


def _first_operand(context: Context, tile: Tile, reader: str) -> tuple[Refs, bool]:
    """A computed tile goes in from registers, unless it is read transposed."""
    if tile.memory is Memory.REGISTERS and not tile.transposed:
        return context.registers(tile, reader), False
    return _along_k(context, tile, 1, reader), True


def _along_k(context: Context, tile: Tile, k_axis: int, reader: str) -> Refs:
    """wgmma reads operands whose elements are not 16 bits wide only with k adjacent (PTX ISA): else transpose them."""
    fits = tile.type.element_bits == _EITHER_MAJOR_BITS or tile.inner in (None, k_axis)
    if fits or tile.memory is not Memory.SHARED:
        return context.shared(tile, reader)
    return context.once(tile, "transpose", lambda source, name: _transpose(context, source, name))


def _transpose(context: Context, tile: Tile, name: str) -> DraftOp:
    """Through registers, back to shared memory."""
    costs = context.costs
    depth = sum(map(costs.cycles, ("smem_load_latency_cycles", "smem_store_latency_cycles", "fence_cycles")))
    op = DraftOp(name, "transpose", "lsu", 2 * costs.shared_memory(tile.type.bytes), depth)
    return context.in_shared(op, tile.type)


def tensor_cycles(context: Context, product: Product, a_from_shared: bool, rows: int) -> float:
    """The larger of arithmetic and of reading the operands from shared memory, where B is read for each `rows` rows.

    Agrees with the measured intervals of wgmma m64nNk16 for N >= 32 (Luo et al., arXiv 2501.12084) and of
    tcgen05 128xNx16 (SemiAnalysis microbench-blackwell).
    """
    arithmetic = product.flop(rows) / context.costs.rate(f"tensor_{product.rate_key}_flop_per_cycle")
    runs = -(-product.m // rows)
    size = product.b_bytes * runs + (product.a_bytes if a_from_shared else 0)
    return max(arithmetic, context.costs.shared_memory(size * product.passes))


def _accumulator_memory(_context: Context, _operation: Operation) -> Memory:
    return Memory.REGISTERS


HOPPER = Family(
    name="hopper",
    warps=lambda _kernel_warps: 4,
    load_memory=specialized_load_memory,
    accumulator_memory=_accumulator_memory,
    load=specialized_load,
    dot=_dot,
    accumulator_lanes=(4, 8),
)
