"""Rules that all machine families share: elementwise operations, reductions, stores, atomics, barriers.

A rule lowers one operation for one copy of the body: it adds ops to the draft and records where the results are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ir.diagnostics import fail
from ir.loop import Operation
from ir.types import Memory, Type
from twill.analysis.access import Access, Effect, stored_operand
from twill.analysis.scope import inputs
from twill.lowering.context import DOTS, SOURCES, VIEWS, Context
from twill.lowering.draft import DraftOp, Refs, Tile, bracketed
from twill.lowering.work import ESTIMATED, FREE, WORK

BARRIERS = frozenset({"gpu.barrier", "ttg.barrier", "ttg.local_barrier"})
Rule = Callable[[Context, Operation, int | None], None]


def lower_operation(context: Context, operation: Operation, copy: int | None) -> None:
    """Lower one operation for one copy. Raises UserError `unknown-opcode` for what no rule covers."""
    results = operation.results
    if results and all(context.scope.is_invariant(v.name) for v in results):
        return
    if results and all(context.is_free_integer(v.name) for v in results) and operation.opcode in _COSTLESS:
        _free(context, operation, copy)
        return
    rule = RULES.get(operation.opcode)
    if rule is None:
        remedy = "report it with the kernel; meanwhile take the operation out of the loop"
        raise fail("unknown-opcode", f"no rule lowers `{operation.opcode}`", operation.location, remedy)
    if operation.opcode in ESTIMATED:
        context.draft.note(f"the cost of `{operation.opcode}` at {operation.location} is an estimate")
    rule(context, operation, copy)


def operands(context: Context, operation: Operation, copy: int | None) -> tuple[Tile, ...]:
    """Where the operands and predicates are."""
    return tuple(context.tile(name, copy) for name in inputs(operation))


def read(context: Context, tiles: Iterable[Tile], reader: str) -> Refs:
    """References to all tiles, brought to registers."""
    return tuple(dict.fromkeys(ref for tile in tiles for ref in context.registers(tile, reader)))


def finish(context: Context, operation: Operation, copy: int | None, op: DraftOp, refs: Refs) -> None:
    """Add an op whose first result is a register tile."""
    value = operation.results[0]
    type_ = context.type_of(value.name, copy)
    made = context.draft.add(context.in_registers(op, type_), refs)
    own = copy if context.split.is_split(value.name) else None
    for result in operation.results:
        tile = Tile(value.name, context.type_of(result.name, copy), made, Memory.REGISTERS, copy=own)
        context.define(result.name, copy, tile)


def name_of(context: Context, operation: Operation, copy: int | None) -> str:
    """Name of the op: the first result's, with its copy."""
    value = operation.results[0].name
    return context.draft.unique(bracketed(value, copy if context.split.is_split(value) else None))


def _free(context: Context, operation: Operation, copy: int | None) -> None:
    """Costs nothing: the results depend on what the operands depend on."""
    refs = tuple(dict.fromkeys(r for tile in operands(context, operation, copy) for r in tile.refs))
    for value in operation.results:
        context.define(value.name, copy, Tile(value.name, context.type_of(value.name, copy), refs, copy=copy))


def _view(context: Context, operation: Operation, copy: int | None) -> None:
    """The same elements in another shape."""
    source = context.tile(operation.operands[0], copy)
    rest = (r for name in operation.operands[1:] for r in context.tile(name, copy).refs)
    refs = tuple(dict.fromkeys((*source.refs, *rest)))
    for value in operation.results:
        flipped = source.transposed != (operation.opcode == "tt.trans")
        type_ = context.type_of(value.name, copy)
        inner = _inner_axis(operation, source)
        context.define(value.name, copy, replace(source, type=type_, refs=refs, transposed=flipped, inner=inner))


def _inner_axis(operation: Operation, source: Tile) -> int | None:
    """The axis of a view that is adjacent in shared memory."""
    order = operation.attributes.get("order")
    if isinstance(order, tuple) and source.inner in order:
        return order.index(source.inner)
    return None if operation.opcode in ("tt.trans", "tt.reshape", "tt.expand_dims") else source.inner


def _elementwise(context: Context, operation: Operation, copy: int | None) -> None:
    """One op for each unit that the operation uses; the last one, with the most cycles, has the result."""
    name = name_of(context, operation, copy)
    result = context.type_of(operation.results[0].name, copy)
    operand = context.type_of(operation.operands[0], copy) if operation.operands else result
    *first, last = context.costs.elementwise(operation.opcode, operand, result)
    tiles = operands(context, operation, copy)
    refs: Refs = ()
    for cost in first:
        part = context.draft.unique(bracketed(f"{operation.results[0].name}.{cost.unit}", _copy(name, copy)))
        op = DraftOp(part, operation.opcode, cost.unit, cost.cycles, cost.depth_cycles, fuses=True)
        refs = context.draft.add(_placed(context, op, result, operation), read(context, tiles, part))
    refs = refs or read(context, tiles, name)
    op = DraftOp(name, operation.opcode, last.unit, last.cycles, last.depth_cycles, fuses=True)
    finish(context, operation, copy, replace(op, location=operation.location, detail=str(result)), refs)


def _copy(name: str, copy: int | None) -> int | None:
    return copy if name.endswith("]") else None


def _placed(context: Context, op: DraftOp, type_: Type, operation: Operation) -> DraftOp:
    return context.in_registers(replace(op, location=operation.location, detail=str(type_)), type_)


def _reduce(context: Context, operation: Operation, copy: int | None) -> None:
    """Within each thread, then between the lanes and the warps that share a row."""
    tile = context.type_of(operation.operands[0], copy)
    name = name_of(context, operation, copy)
    cycles, depth = _across(context, operation, tile, _combine(context, operation, tile, tile.elements))
    op = DraftOp(name, operation.opcode, "alu", cycles, depth, location=operation.location, detail=str(tile))
    finish(context, operation, copy, op, read(context, operands(context, operation, copy), name))


def _scan(context: Context, operation: Operation, copy: int | None) -> None:
    """Twice the combinations of a reduction: up within threads, then down with what stands before."""
    tile = context.type_of(operation.operands[0], copy)
    name = name_of(context, operation, copy)
    cycles, depth = _across(context, operation, tile, 2 * _combine(context, operation, tile, tile.elements))
    op = DraftOp(name, operation.opcode, "alu", cycles, depth, location=operation.location, detail=str(tile))
    finish(context, operation, copy, op, read(context, operands(context, operation, copy), name))


def _combine(context: Context, operation: Operation, tile: Type, elements: float) -> float:
    known = [opcode for opcode in operation.combiner if opcode in WORK]
    for opcode in operation.combiner:
        if opcode not in WORK and opcode not in SOURCES | FREE:
            raise fail("unknown-opcode", f"no rule lowers `{opcode}` in a {operation.opcode}", operation.location)
    return context.costs.combine(known, tile, elements)


def _across(context: Context, operation: Operation, tile: Type, cycles: float) -> tuple[float, int]:
    """Cycles and depth of a reduction or scan, from the cycles within threads."""
    costs = context.costs
    lanes, warps = _sharing(context, tile, int(operation.attributes["axis"]))  # type: ignore[arg-type]
    rows = tile.elements / tile.shape[int(operation.attributes["axis"])]  # type: ignore[arg-type]
    steps = math.ceil(math.log2(lanes)) if lanes > 1 else 0
    shuffled = rows * lanes * warps
    cycles += steps * (shuffled / costs.rate("shuffle_lanes_per_cycle") + _combine(context, operation, tile, shuffled))
    depth = costs.cycles("alu_latency_cycles")
    depth += steps * (costs.cycles("shuffle_latency_cycles") + costs.cycles("alu_latency_cycles"))
    if warps > 1:
        size = math.ceil(rows * warps * tile.element_bits / 8)
        moves = costs.cycles("smem_store_latency_cycles") + costs.cycles("smem_load_latency_cycles")
        depth += moves + costs.cycles("named_barrier_cycles") + math.ceil(2 * costs.shared_memory(size))
    return cycles, depth


def _sharing(context: Context, tile: Type, axis: int) -> tuple[int, int]:
    """Lanes of a warp, and warps, that hold parts of one row along `axis`."""
    lanes, warps = 32, context.costs.warps
    extent = tile.shape[axis]
    if context.has_dot and len(tile.shape) == 2:
        along = context.family.accumulator_lanes[1 - axis]
        return min(along, extent), 1 if axis == 1 else warps
    others = tile.elements // extent
    if axis == len(tile.shape) - 1:
        along = min(lanes, extent)
        return along, max(1, min(warps, extent // along, warps * lanes // max(1, along * others)))
    return min(max(1, lanes // others), extent), max(1, min(warps, warps * lanes // max(1, others)))


def _load(context: Context, operation: Operation, copy: int | None) -> None:
    access = context.accesses[id(operation)]
    value = operation.results[0]
    part = replace(access, type=context.type_of(value.name, copy))
    context.define(value.name, copy, context.family.load(context, operation, copy, part))


def plain_load(context: Context, operation: Operation, copy: int | None, access: Access) -> Tile:
    """A load into registers by the warps themselves: latency of the L2."""
    name = name_of(context, operation, copy)
    op = DraftOp(
        name,
        operation.opcode,
        "l2",
        cycles=access.type.bytes / context.costs.rate("l2_bytes_per_cycle"),
        depth_cycles=context.costs.cycles("l2_latency_cycles"),
        issue_cycles=max(1, math.ceil(context.costs.shared_memory(access.type.bytes))),
        location=operation.location,
        detail=f"plain load of {access.type}",
    )
    refs = context.draft.add(
        context.in_registers(op, access.type), read(context, operands(context, operation, copy), name)
    )
    return tile_of(context, operation, copy, refs, Memory.REGISTERS)


def copy_async(context: Context, operation: Operation, copy: int | None, access: Access) -> Tile:
    """cp.async into shared memory, issued by all threads."""
    name = name_of(context, operation, copy)
    op = DraftOp(
        name,
        operation.opcode,
        "l2",
        cycles=access.type.bytes / context.costs.rate("l2_bytes_per_cycle"),
        depth_cycles=context.costs.cycles("cp_async_latency_cycles"),
        issue_cycles=max(1, math.ceil(context.costs.shared_memory(access.type.bytes))),
        asynchronous=True,
        variable_latency=True,
        location=operation.location,
        detail=f"cp.async of {access.type}",
    )
    op = replace(context.in_shared(op, access.type), handoff_cycles=0)
    refs = context.draft.add(op, read(context, operands(context, operation, copy), name))
    return tile_of(context, operation, copy, refs, Memory.SHARED)


def tile_of(context: Context, operation: Operation, copy: int | None, refs: Refs, memory: Memory) -> Tile:
    """The tile of an operation's first result."""
    value = operation.results[0].name
    own = copy if context.split.is_split(value) else None
    access = context.accesses.get(id(operation))
    inner = access.inner_axis if access else None
    return Tile(value, context.type_of(value, copy), refs, memory, copy=own, inner=inner)


def _store(context: Context, operation: Operation, copy: int | None) -> None:
    """A store from registers: nobody waits for it. Through a descriptor: to shared memory, then by TMA."""
    access = context.accesses[id(operation)]
    stored = stored_operand(operation)
    assert stored is not None
    type_ = context.type_of(stored, copy)
    name = context.draft.unique(bracketed(f"{access.base or 'memory'}.{_verb(access)}", _own(context, stored, copy)))
    if access.descriptor and "tma" in context.machine.units:
        _tma_store(context, operation, copy, name, type_)
        return
    update = access.effect is Effect.UPDATE
    if update and operation.attributes.get("sem", "relaxed") != "relaxed":
        context.draft.note(f"assumed: the atomic at {operation.location} orders no other access of the loop")
    rate = context.costs.rate("l2_bytes_per_cycle")
    cycles = type_.elements / context.costs.rate("atomics_per_cycle") if update else type_.bytes / rate
    op = DraftOp(
        name,
        operation.opcode,
        "l2",
        cycles,
        depth_cycles=context.costs.cycles("l2_latency_cycles") if update else 0,
        issue_cycles=max(1, math.ceil(context.costs.shared_memory(type_.bytes))),
        warps=context.costs.warps,
        handoff_cycles=context.costs.cycles("mbarrier_handoff_cycles"),
        location=operation.location,
        detail=f"{_verb(access)} of {type_}",
    )
    refs = read(context, operands(context, operation, copy), name)
    _finish_store(context, operation, copy, op, refs)


def _finish_store(context: Context, operation: Operation, copy: int | None, op: DraftOp, refs: Refs) -> None:
    """The old values that an atomic gives back are a register tile, where somebody reads them."""
    used = [v for v in operation.results if context.scope.readers.get(v.name)]
    if used:
        finish(context, operation, copy, op, refs)
        return
    context.draft.add(op, refs)
    for value in operation.results:
        context.define(value.name, copy, Tile(value.name, context.type_of(value.name, copy), (), copy=copy))


def _tma_store(context: Context, operation: Operation, copy: int | None, name: str, type_: Type) -> None:
    stored = stored_operand(operation)
    assert stored is not None
    costs = context.costs
    refs = context.shared(context.tile(stored, copy), name)
    rest = [context.tile(n, copy) for n in inputs(operation) if n != stored]
    op = DraftOp(
        name,
        operation.opcode,
        "tma",
        cycles=type_.bytes / costs.rate("tma_bytes_per_cycle"),
        issue_cycles=costs.cycles("tma_issue_cycles"),
        warps=1,
        location=operation.location,
        detail=f"TMA store of {type_}",
    )
    context.draft.add(op, (*refs, *read(context, rest, name)))


def _verb(access: Access) -> str:
    return "store" if access.effect is Effect.WRITE else "atomic"


def _own(context: Context, name: str, copy: int | None) -> int | None:
    return copy if context.split.is_split(name) else None


def _through_shared(context: Context, operation: Operation, copy: int | None) -> None:
    """Elements change threads: a store to and a load from shared memory."""
    name = name_of(context, operation, copy)
    costs = context.costs
    tile = max((context.type_of(n, copy) for n in inputs(operation)), key=lambda t: t.bytes)
    cycles = costs.shared_memory(tile.bytes) + costs.shared_memory(
        context.type_of(operation.results[0].name, copy).bytes
    )
    depth = sum(map(costs.cycles, ("smem_store_latency_cycles", "smem_load_latency_cycles", "named_barrier_cycles")))
    op = DraftOp(name, operation.opcode, "lsu", cycles, depth, location=operation.location, detail=str(tile))
    finish(context, operation, copy, op, read(context, operands(context, operation, copy), name))


def _dot(context: Context, operation: Operation, copy: int | None) -> None:
    context.define(operation.results[0].name, copy, context.family.dot(context, operation, copy))


def _barrier(context: Context, operation: Operation, copy: int | None) -> None:
    """All threads meet; `order_edges` keeps what comes before and after in place."""
    depth = context.costs.cycles("named_barrier_cycles")
    name = bracketed(operation.opcode.rpartition(".")[2], copy)
    context.draft.add(DraftOp(name, operation.opcode, None, 0, depth, 1, location=operation.location), ())


def _ignored(context: Context, operation: Operation, copy: int | None) -> None:
    """Output for people: left out, and said so."""
    del copy
    context.draft.note(f"`{operation.opcode}` at {operation.location} is left out of the schedule")


def _descriptor(context: Context, operation: Operation, copy: int | None) -> None:
    """A descriptor made in the loop: its cost is not known."""
    context.draft.note(f"the cost of `{operation.opcode}` at {operation.location} inside the loop is not counted")
    _free(context, operation, copy)


_COSTLESS = frozenset(WORK) | VIEWS | SOURCES | FREE
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(SOURCES | FREE, _free),
    **dict.fromkeys(WORK, _elementwise),
    **dict.fromkeys(VIEWS, _view),
    **dict.fromkeys(DOTS, _dot),
    **dict.fromkeys(("tt.load", "tt.descriptor_load", "tt.descriptor_gather"), _load),
    **dict.fromkeys(("tt.store", "tt.descriptor_store", "tt.descriptor_scatter", "tt.descriptor_reduce"), _store),
    **dict.fromkeys(("tt.atomic_rmw", "tt.atomic_cas"), _store),
    **dict.fromkeys(("tt.gather", "tt.cat", "tt.histogram"), _through_shared),
    **dict.fromkeys(BARRIERS, _barrier),
    **dict.fromkeys(("tt.print", "tt.assert"), _ignored),
    "tt.make_tensor_descriptor": _descriptor,
    "tt.reduce": _reduce,
    "tt.scan": _scan,
}
