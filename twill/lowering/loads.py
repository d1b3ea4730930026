"""Which loads go to shared memory, and TMA, which brings a dense tile there without the warps."""

from __future__ import annotations

import math
from dataclasses import replace

from ir.loop import Operation
from ir.types import Memory
from twill.analysis.access import ALIGNMENT_BYTES, Access
from twill.analysis.polynomial import Polynomial
from twill.analysis.scope import Scope
from twill.lowering.context import DOTS, VIEWS, Context
from twill.lowering.costs import KIB, Costs
from twill.lowering.draft import DraftOp, Tile
from twill.lowering.rules import copy_async, name_of, operands, plain_load, read, tile_of

_ACCESS_BYTES = 16  # of one thread, the widest load instruction


def feeds_product(scope: Scope, access: Access) -> bool:
    """True where a product reads the loaded tile as its first or second operand, directly or through views."""
    return any(_reaches_product(scope, v.name, frozenset()) for v in access.operation.results)


def _reaches_product(scope: Scope, name: str, seen: frozenset[str]) -> bool:
    if name in seen:
        return False
    for reader in scope.readers.get(name, ()):
        if reader.opcode in DOTS and name in reader.operands[:2]:
            return True
        if reader.opcode in VIEWS and _reaches_product(scope, reader.results[0].name, seen | {name}):
            return True
    carried = [c.argument.name for c in scope.loop.carried if c.yielded == name]
    return any(_reaches_product(scope, argument, seen | {name}) for argument in carried)


def fills_every_thread(costs: Costs, access: Access) -> bool:
    """True from one 16-byte access a thread on; a smaller tile is one plain instruction."""
    return access.type.bytes >= _ACCESS_BYTES * costs.threads


def specialized_load_memory(context: Context, access: Access) -> Memory:
    """Where TMA exists: dense tiles go to shared memory, and whatever a product reads from there."""
    is_product = feeds_product(context.scope, access)
    if fits_tma(context, access) and (is_product or fills_every_thread(context.costs, access)):
        return Memory.SHARED
    return Memory.SHARED if is_product and access.can_copy_async else Memory.REGISTERS


def specialized_load(context: Context, operation: Operation, copy: int | None, access: Access) -> Tile:
    """TMA, cp.async or a plain load."""
    whole = context.accesses[id(operation)]
    if not whole.type.shape or specialized_load_memory(context, whole) is Memory.REGISTERS:
        return plain_load(context, operation, copy, access)
    rule = _load_by_tma if fits_tma(context, whole) else copy_async
    return rule(context, operation, copy, access)


def fits_tma(context: Context, access: Access) -> bool:
    """True for a dense tile whose rows are at least 16 bytes, aligned to 16 bytes in memory."""
    if access.descriptor or not access.is_dense:
        return access.descriptor
    inner = access.contiguous_axis
    assert inner is not None
    strides = [s for i, s in enumerate(access.strides) if i != inner and access.type.shape[i] > 1 and s is not None]
    size = access.type.element_bits // 8
    is_wide = access.type.shape[inner] * access.type.element_bits >= ALIGNMENT_BYTES * 8
    return is_wide and all(_is_aligned(context, s, size, access) for s in strides)


def _is_aligned(context: Context, stride: Polynomial, element_bytes: int, access: Access) -> bool:
    """A number must be a multiple of 16 bytes; a stride that nothing is known of is taken to be."""
    if stride.value is not None:
        return stride.value * element_bytes % ALIGNMENT_BYTES == 0
    if not all(_is_divisible(context, stride, element_bytes)):
        context.draft.note(f"assumed: rows of `{access.base}`, {stride} elements apart, are aligned to 16 bytes")
    return True


def _is_divisible(context: Context, stride: Polynomial, element_bytes: int) -> list[bool]:
    told = context.scope.kernel.argument_attributes
    found = []
    for monomial, coefficient in stride.terms:
        known = [told.get(s.name, {}).get("tt.divisibility", 1) for s in monomial]
        factor = math.prod(k for k in known if isinstance(k, int)) * coefficient
        found.append(factor * element_bytes % ALIGNMENT_BYTES == 0)
    return found


def _load_by_tma(context: Context, operation: Operation, copy: int | None, access: Access) -> Tile:
    costs = context.costs
    name = name_of(context, operation, copy)
    cycles = access.type.bytes / costs.rate("tma_bytes_per_cycle")
    per_kib = costs.rate("tma_latency_cycles_per_kib") * access.type.bytes / KIB
    latency = math.ceil(costs.rate("tma_latency_cycles") + per_kib)
    op = DraftOp(
        name,
        operation.opcode,
        "tma",
        cycles,
        depth_cycles=max(0, latency - math.ceil(cycles)),
        issue_cycles=costs.cycles("tma_issue_cycles"),
        asynchronous=True,
        variable_latency=True,
        location=operation.location,
        detail=f"TMA load of {access.type}",
    )
    op = replace(context.in_shared(op, access.type), warps=1, handoff_cycles=0)
    refs = context.draft.add(op, read(context, operands(context, operation, copy), name))
    return tile_of(context, operation, copy, refs, Memory.SHARED)
