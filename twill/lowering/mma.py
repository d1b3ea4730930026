"""mma.sync: products that the warps execute themselves, from fragments that ldmatrix brings to their registers.

A product has its instructions interleaved with those that load its fragments: it starts on the first fragments, ends
after the last, and the loads run at most two slices along k ahead. So the next fragments cannot be loaded before the
product is at its last two slices; an order edge says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ir.loop import Operation
from ir.types import Memory
from twill.lowering.context import DOTS, Context
from twill.lowering.draft import DraftEdge, DraftOp, Ref, Refs, Tile, bracketed
from twill.lowering.products import Product, accumulator_edges, has_accumulator, product_of
from twill.lowering.rules import name_of, tile_of

MMA_ROWS = 16  # of m16n8k16 and its kin, PTX ISA
_SLICE_BYTES = 32  # along k of one instruction
_HELD_SLICES = 2
_FRAGMENT_REGISTERS = 4  # of each thread for a 16 x 16 fragment of 16-bit numbers (ldmatrix.x4)
_FRAGMENTS_IN_FLIGHT = 4  # assumed: of the second operand, whose fragments are used as they come


@dataclass(frozen=True)
class _Multiply:
    """One product while it is lowered: its op without result, and the value that it defines."""

    context: Context
    operation: Operation
    copy: int | None
    product: Product
    op: DraftOp

    def part(self, suffix: str) -> str:
        """Name of an op that belongs to this one."""
        value = self.operation.results[0].name
        own = self.copy if self.context.split.is_split(value) else None
        return self.context.draft.unique(bracketed(f"{value}.{suffix}", own))


def multiply_synchronously(context: Context, operation: Operation, copy: int | None) -> Tile:
    """mma.sync by all warps; where the tensor core has no such type (fp32 in full precision), FMA instructions."""
    product = product_of(context, operation, copy)
    op = _op(context, operation, product, name_of(context, operation, copy))
    multiply = _Multiply(context, operation, copy, product, op)
    edges = [*_operand_edges(multiply)]
    if has_accumulator(context, operation):
        edges += accumulator_edges(context.registers(context.tile(operation.operands[2], copy), op.name))
    refs = context.draft.add(context.in_registers(op, context.type_of(operation.results[0].name, copy)), (), edges)
    for edge in edges:
        if context.draft.ops.get(edge.source.op, op).opcode == "ldmatrix":
            context.draft.edges.append(_back_pressure(product, op, edge.source.op))
    return tile_of(context, operation, copy, refs, Memory.REGISTERS)


def _op(context: Context, operation: Operation, product: Product, name: str) -> DraftOp:
    is_fma = product.rate_key == "fp32"
    rate = 2 * context.costs.rate("fp32_lanes_per_cycle") if is_fma else _mma_rate(context, product)
    return DraftOp(
        name,
        operation.opcode,
        "alu" if is_fma else "tensor",
        product.flop(1 if is_fma else MMA_ROWS) / rate,
        context.costs.cycles("alu_latency_cycles" if is_fma else "mma_latency_cycles"),
        location=operation.location,
        detail=f"{'FMA' if is_fma else 'mma.sync'} {product}",
    )


def _mma_rate(context: Context, product: Product) -> float:
    """mma.sync reaches a part of what the asynchronous tensor-core instructions do, where there are such."""
    full = context.costs.rate(f"tensor_{product.rate_key}_flop_per_cycle")
    return full * context.machine.rates.get("mma_sync_fraction", 1.0)


def _operand_edges(multiply: _Multiply) -> Iterable[DraftEdge]:
    """Edges that bring both operands to the product's registers."""
    context, name = multiply.context, multiply.op.name
    tiles = [context.tile(operand, multiply.copy) for operand in multiply.operation.operands[:2]]
    loaded = [(side, tile) for side, tile in enumerate(tiles) if not _is_in_place(side, tile)]
    sources = {side: context.shared(tile, name) for side, tile in loaded}
    wait = _wait(multiply, [ref for refs in sources.values() for ref in refs])
    for side, tile in enumerate(tiles):
        if side in sources:
            yield _fragments(multiply, side, (*sources[side], *wait))
        else:
            yield from (DraftEdge(ref, name) for ref in context.registers(tile, name))


def _is_in_place(side: int, tile: Tile) -> bool:
    """The first operand may be in registers as the sums of another product are."""
    return side == 0 and tile.memory in (Memory.REGISTERS, None) and tile.stored is None and not tile.transposed


def _wait(multiply: _Multiply, sources: Iterable[Ref]) -> Refs:
    """One wait for both operands, where both arrive by asynchronous copies (cp.async.wait_group and a barrier)."""
    ops = multiply.context.draft.ops
    copies = [ref for ref in dict.fromkeys(sources) if ref.op in ops and ops[ref.op].asynchronous]
    if len(copies) < 2:
        return ()
    op = DraftOp(multiply.part("wait"), "wait", None, 0, warps=multiply.context.costs.warps)
    return multiply.context.draft.add(op, copies)


def _fragments(multiply: _Multiply, side: int, sources: Refs) -> DraftEdge:
    context = multiply.context
    load = _ldmatrix(multiply, side)
    (ref,) = context.draft.add(load, sources)
    lead = max(0, load.occupancy_cycles - multiply.op.occupancy_cycles) + load.depth_cycles
    return DraftEdge(ref, multiply.op.name, latency_cycles=lead)


def _ldmatrix(multiply: _Multiply, side: int) -> DraftOp:
    """Each warp reads its rows of A and its columns of B."""
    costs, product = multiply.context.costs, multiply.product
    rows, columns = warp_grid(costs.warps, product, _is_chained(multiply.context))
    size = product.a_bytes * columns if side == 0 else product.b_bytes * rows
    op = DraftOp(
        multiply.part(f"ldmatrix_{'ab'[side]}"),
        "ldmatrix",
        "lsu",
        costs.shared_memory(size),
        costs.cycles("ldmatrix_latency_cycles"),
        memory=Memory.REGISTERS,
        registers=_held_registers(product, rows) if side == 0 else _FRAGMENT_REGISTERS * _FRAGMENTS_IN_FLIGHT,
        warps=costs.warps,
        location=multiply.operation.location,
        detail=f"{size / 1024:g} KiB for {costs.warps} warps",
    )
    is_split = multiply.context.machine.warp_specialization
    return replace(op, handoff_cycles=costs.handoff_of_registers(product.element) if is_split else 0)


def _held_registers(product: Product, warp_rows: int) -> int:
    """Two slices of a warp's rows of the first operand."""
    fragments = math.ceil(product.m / warp_rows / MMA_ROWS)
    return math.ceil(fragments * _FRAGMENT_REGISTERS * min(_HELD_SLICES, _slices(product)))


def _back_pressure(product: Product, op: DraftOp, load: str) -> DraftEdge:
    done = math.floor(op.occupancy_cycles * max(0.0, 1 - _HELD_SLICES / _slices(product)))
    reason = f"`{load}` runs at most {_HELD_SLICES} slices ahead of `{op.name}`"
    return DraftEdge(Ref(op.name, 1), load, "order", done, reason=reason)


def _slices(product: Product) -> float:
    return max(1.0, product.k * product.element.element_bits / 8 / _SLICE_BYTES)


def _is_chained(context: Context) -> bool:
    """True where one product's rows go on to another: each warp then has whole rows."""
    return sum(op.opcode in DOTS for op in context.scope.operations) > 1


def warp_grid(warps: int, product: Product, whole_rows: bool) -> tuple[int, int]:
    """Warps along the rows and along the columns of the result: whole rows, or pieces as square as possible."""
    rows, columns = 1, 1
    while rows * columns < warps:
        is_tall = whole_rows or product.m / rows >= product.n / columns
        taller = is_tall and product.m // rows > MMA_ROWS
        rows, columns = (rows * 2, columns) if taller else (rows, columns * 2)
    return rows, columns
