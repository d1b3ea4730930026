"""sm_100: TMA loads, tcgen05 issued by one warp, sums in tensor memory, where the first operand may be too."""

from __future__ import annotations

from dataclasses import replace

from ir.loop import Operation
from ir.types import Memory
from twill.lowering.context import Context, Family, tensor_columns
from twill.lowering.draft import DraftOp, Refs, Tile
from twill.lowering.hopper import tensor_cycles
from twill.lowering.loads import specialized_load, specialized_load_memory
from twill.lowering.mma import multiply_synchronously
from twill.lowering.products import accumulator_edges, has_accumulator, product_of
from twill.lowering.rules import name_of, tile_of

ROWS = 128  # of one tcgen05.mma of one CTA; 64 rows take as long, PTX ISA and SemiAnalysis microbench-blackwell
SMALLEST_ROWS = 64
_TYPES = ("fp16", "bf16", "tf32", "fp8", "int8", "fp4", "mxfp8")
_TMEM_OPERANDS = ("f16", "bf16", "f8E4M3FN", "f8E5M2", "i8", "f32")


def _is_asynchronous(context: Context, operation: Operation, copy: int | None) -> bool:
    product = product_of(context, operation, copy)
    return product.m >= SMALLEST_ROWS and product.rate_key in _TYPES


def _dot(context: Context, operation: Operation, copy: int | None) -> Tile:
    if not _is_asynchronous(context, operation, copy):
        return multiply_synchronously(context, operation, copy)
    product = product_of(context, operation, copy)
    name = name_of(context, operation, copy)
    a, from_shared = _first_operand(context, context.tile(operation.operands[0], copy), name)
    b = context.shared(context.tile(operation.operands[1], copy), name)
    c = context.tensor(context.tile(operation.operands[2], copy), name) if has_accumulator(context, operation) else ()
    result = context.type_of(operation.results[0].name, copy)
    op = DraftOp(
        name,
        operation.opcode,
        "tensor",
        tensor_cycles(context, product, from_shared, ROWS),
        context.costs.cycles("tcgen05_pipeline_cycles"),
        context.costs.cycles("tcgen05_issue_cycles"),
        asynchronous=True,
        location=operation.location,
        detail=f"tcgen05 {product}, A from {'shared' if from_shared else 'tensor'} memory",
    )
    op = replace(op, result=result, memory=Memory.TENSOR, tmem_columns=tensor_columns(result), warps=1)
    refs = context.draft.add(op, (*a, *b), accumulator_edges(c))
    return tile_of(context, operation, copy, refs, Memory.TENSOR)


def _first_operand(context: Context, tile: Tile, reader: str) -> tuple[Refs, bool]:
    """A computed tile goes in from tensor memory, unless it is read transposed."""
    computed = tile.memory in (Memory.REGISTERS, Memory.TENSOR) and not tile.transposed
    if computed and tile.type.element in _TMEM_OPERANDS:
        return context.tensor(tile, reader), False
    return context.shared(tile, reader), True


def _accumulator_memory(context: Context, operation: Operation) -> Memory:
    copy = 0 if context.split.is_split(operation.results[0].name) else None
    return Memory.TENSOR if _is_asynchronous(context, operation, copy) else Memory.REGISTERS


BLACKWELL = Family(
    name="blackwell",
    warps=lambda _kernel_warps: 4,
    load_memory=specialized_load_memory,
    accumulator_memory=_accumulator_memory,
    load=specialized_load,
    dot=_dot,
    accumulator_lanes=(1, 32),
)
