"""Matrix products: shapes, rates by element type, and mma.sync, which every family has for small tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ir.diagnostics import fail
from ir.loop import Operation
from ir.types import Memory, Type
from twill.lowering.context import Context
from twill.lowering.draft import DraftEdge, DraftOp, Ref, Refs, Tile
from twill.lowering.rules import name_of, tile_of

# Element type of the operands -> name of the rate.
_RATE_KEYS = {"f16": "fp16", "bf16": "bf16", "f32": "tf32", "i8": "int8", "f64": "fp64"}
# Products of narrower numbers that one of this precision is made of, and their type (names as in Triton's TTIR).
_PASSES = {"tf32x3": (3, "tf32"), "bf16x3": (3, "bf16"), "bf16x6": (6, "bf16")}
MMA_ROWS = 16
_MMA_K_BYTES = 32


@dataclass(frozen=True)
class Product:
    """`batch` products of m x k by k x n with elements of `element`; `passes` of them at rate `rate_key`."""

    batch: int
    m: int
    n: int
    k: int
    element: Type
    rate_key: str
    passes: int = 1

    def flop(self, row_multiple: int = 1) -> int:
        """Operations, with the rows padded to a multiple."""
        rows = math.ceil(self.m / row_multiple) * row_multiple
        return 2 * self.passes * self.batch * rows * self.n * self.k

    @property
    def a_bytes(self) -> int:
        """Bytes of the first operand."""
        return self.batch * self.m * self.k * self.element.element_bits // 8

    @property
    def b_bytes(self) -> int:
        """Bytes of the second operand."""
        return self.batch * self.n * self.k * self.element.element_bits // 8

    def __str__(self) -> str:
        batch = f"{self.batch} x " if self.batch > 1 else ""
        return f"{batch}{self.m}x{self.n}x{self.k} {self.rate_key}"


def product_of(context: Context, operation: Operation, copy: int | None) -> Product:
    """Shapes and rate of a product. Raises UserError `unsupported-type` where the machine has no rate for it."""
    a = context.type_of(operation.operands[0], copy)
    result = context.type_of(operation.results[0].name, copy)
    *outer, m, n = result.shape
    passes, key = _rate_key(context, operation, a, result)
    # Two fp4 numbers share a byte.
    packed = operation.attributes.get("a_elem_type") == "e2m1"
    k = a.shape[-1] * (2 if packed else 1)
    return Product(math.prod(outer), m, n, k, Type("f4E2M1FN") if packed else a, key, passes)


def _rate_key(context: Context, operation: Operation, a: Type, result: Type) -> tuple[int, str]:
    precision = str(operation.attributes.get("inputPrecision", "tf32"))
    if operation.opcode == "tt.dot_scaled":
        return 1, _scaled_key(context, operation)
    key = "fp8" if a.element.startswith("f8") else _RATE_KEYS.get(a.element, a.element)
    passes = 1
    if a.element == "f32":
        passes, key = _PASSES.get(precision, (1, "fp32" if precision == "ieee" else "tf32"))
    if result.element == "f16" and f"tensor_{key}_fp16acc_flop_per_cycle" in context.machine.rates:
        key += "_fp16acc"
    if key != "fp32" and f"tensor_{key}_flop_per_cycle" not in context.machine.rates:
        message = f"the tensor cores of {context.machine.name} ({context.machine.architecture}) take no {a.element}"
        raise fail("unsupported-type", f"{message} operands ({key})", operation.location, "convert the operands")
    return passes, key


def _scaled_key(context: Context, operation: Operation) -> str:
    """Products with a scale for each block exist where there is a rate for fp4."""
    if "tensor_fp4_flop_per_cycle" not in context.machine.rates:
        message = f"{context.machine.name} ({context.machine.architecture}) has no block-scaled products"
        raise fail("unsupported-type", message, operation.location, "scale the operands, and use a plain product")
    kinds = {str(operation.attributes.get(name, "")) for name in ("a_elem_type", "b_elem_type")}
    return "fp4" if kinds == {"e2m1"} else "fp8"


def accumulator_edges(refs: Refs) -> tuple[DraftEdge, ...]:
    """Edges from what an accumulator is before the product."""
    return tuple(DraftEdge(ref, "", "accumulator") for ref in refs)


def has_accumulator(context: Context, operation: Operation) -> bool:
    """False where the product starts from zero."""
    return context.scope.splat(operation.operands[2]) != 0


def multiply_synchronously(context: Context, operation: Operation, copy: int | None) -> Tile:
    """mma.sync by all warps: operands from shared memory by ldmatrix, or from registers as accumulators leave them.

    Without tensor-core support for the type (fp32 in full precision) the products are FMA instructions.
    """
    product = product_of(context, operation, copy)
    name = name_of(context, operation, copy)
    is_fma = product.rate_key == "fp32"
    rate = 2 * context.costs.rate("fp32_lanes_per_cycle") if is_fma else _mma_rate(context, product)
    cycles = product.flop(1 if is_fma else MMA_ROWS) / rate
    op = DraftOp(
        name,
        operation.opcode,
        "alu" if is_fma else "tensor",
        cycles,
        context.costs.cycles("alu_latency_cycles" if is_fma else "mma_latency_cycles"),
        location=operation.location,
        detail=f"{'FMA' if is_fma else 'mma.sync'} {product}",
    )
    reads = (_fragments(context, operation, copy, product, side, name, cycles) for side in (0, 1))
    edges = [edge for side in reads for edge in side]
    if has_accumulator(context, operation):
        edges += accumulator_edges(context.registers(context.tile(operation.operands[2], copy), name))
    result = context.type_of(operation.results[0].name, copy)
    refs = context.draft.add(context.in_registers(op, result), (), edges)
    return tile_of(context, operation, copy, refs, Memory.REGISTERS)


def _mma_rate(context: Context, product: Product) -> float:
    """mma.sync reaches a part of what the asynchronous tensor-core instructions do, where there are such."""
    full = context.costs.rate(f"tensor_{product.rate_key}_flop_per_cycle")
    return full * context.machine.rates.get("mma_sync_fraction", 1.0)


def _fragments(
    context: Context, operation: Operation, copy: int | None, product: Product, side: int, reader: str, cycles: float
) -> list[DraftEdge]:
    """Edges that bring operand `side` to the product's registers."""
    tile = context.tile(operation.operands[side], copy)
    if side == 0 and tile.memory in (Memory.REGISTERS, None) and tile.stored is None and not tile.transposed:
        return [DraftEdge(ref, reader) for ref in context.registers(tile, reader)]
    load_name = context.draft.unique(
        f"{reader.partition('[')[0]}.ldmatrix_{'ab'[side]}{reader[len(reader.partition('[')[0]) :]}"
    )
    sources = context.shared(tile, load_name)
    load = _ldmatrix(context, load_name, product, side)
    (ref,) = context.draft.add(load, sources)
    # The product starts on the first fragments and ends after the last.
    lead = max(0, load.occupancy_cycles - math.ceil(cycles)) + load.depth_cycles
    return [DraftEdge(Ref(ref.op), reader, latency_cycles=lead)]


def _ldmatrix(context: Context, name: str, product: Product, side: int) -> DraftOp:
    """Each warp reads its rows of A and its columns of B; two slices along k are in registers at a time."""
    rows, columns = warp_grid(context.costs.warps, product)
    size = product.a_bytes * columns if side == 0 else product.b_bytes * rows
    slices = max(1, product.k * product.element.element_bits // 8 // _MMA_K_BYTES)
    held = math.ceil(size * min(2, slices) / slices / 4 / context.costs.threads)
    op = DraftOp(
        name,
        "ldmatrix",
        "lsu",
        context.costs.shared_memory(size),
        context.costs.cycles("ldmatrix_latency_cycles"),
        detail=f"{size // 1024} KiB for {context.costs.warps} warps",
    )
    handoff = context.costs.handoff_of_registers(product.element) if context.machine.warp_specialization else 0
    return replace(op, memory=Memory.REGISTERS, registers=held, warps=context.costs.warps, handoff_cycles=handoff)


def warp_grid(warps: int, product: Product) -> tuple[int, int]:
    """Warps along the rows and along the columns of the result, for pieces as square as possible."""
    rows, columns = 1, 1
    while rows * columns < warps:
        taller = product.m / rows >= product.n / columns and product.m // rows > MMA_ROWS
        rows, columns = (rows * 2, columns) if taller else (rows, columns * 2)
    return rows, columns
