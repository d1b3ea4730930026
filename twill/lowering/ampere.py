"""sm_80, sm_86, sm_89, sm_120: one stream of all warps, cp.async into shared memory, mma.sync from registers."""

from __future__ import annotations

from ir.loop import Operation
from ir.types import Memory
from twill.analysis.access import Access
from twill.lowering.context import Context, Family
from twill.lowering.draft import Tile
from twill.lowering.loads import feeds_product, fills_every_thread
from twill.lowering.mma import multiply_synchronously
from twill.lowering.rules import copy_async, plain_load


def _load_memory(context: Context, access: Access) -> Memory:
    """cp.async moves at least 4 adjacent bytes and fills with zeros."""
    wanted = feeds_product(context.scope, access) or fills_every_thread(context.costs, access)
    return Memory.SHARED if wanted and access.can_copy_async else Memory.REGISTERS


def _load(context: Context, operation: Operation, copy: int | None, access: Access) -> Tile:
    whole = context.accesses[id(operation)]
    rule = copy_async if access.type.shape and _load_memory(context, whole) is Memory.SHARED else plain_load
    return rule(context, operation, copy, access)


def _accumulator_memory(_context: Context, _operation: Operation) -> Memory:
    return Memory.REGISTERS


AMPERE = Family(
    name="ampere",
    warps=lambda kernel_warps: kernel_warps,
    load_memory=_load_memory,
    accumulator_memory=_accumulator_memory,
    load=_load,
    dot=multiply_synchronously,
    accumulator_lanes=(4, 8),
)
