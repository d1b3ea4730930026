"""Tiles that pass through registers in strips: loaded, changed and stored again a few columns at a time.

A tile that is only changed element by element on its way to a memory never stands in registers as a whole: the warps
load a strip, change it, store it, and take the next (`tcgen05.ld.32x32b.x32` moves 32 columns; the correction group of
FlashAttention-4 rescales its output so). Cycles are those of the whole tile.

For the same reason a reader need not wait for a whole tile that is made strip by strip: it starts after the first strip
and ends after the last.
"""

from __future__ import annotations

from collections.abc import Mapping

from ir.types import Memory
from twill.lowering.draft import DraftEdge, DraftOp

STRIP_COLUMNS = 32
_RANK = 2
_LOADS = frozenset({"tmem_load", "smem_load"})
_STORES = frozenset({"tmem_store", "smem_store", "tt.store", "tt.descriptor_store"})


def strip_registers(ops: Mapping[str, DraftOp], readers: Mapping[str, tuple[DraftEdge, ...]]) -> Mapping[str, int]:
    """Registers of each thread for each op whose result passes in strips."""
    return {name: _registers(op) for name, op in ops.items() if _passes(name, ops, readers)}


def _passes(name: str, ops: Mapping[str, DraftOp], readers: Mapping[str, tuple[DraftEdge, ...]]) -> bool:
    """True where the result is read once, in the same iteration, by a store or by a change on the way to one."""
    op, edges = ops[name], readers[name]
    if op.memory is not Memory.REGISTERS or len(edges) != 1 or edges[0].source.distance or edges[0].role != "data":
        return False
    if not (op.fuses or op.opcode in _LOADS):
        return False
    reader = ops[edges[0].target]
    return reader.opcode in _STORES or (reader.fuses and _passes(reader.name, ops, readers))


def lead_cycles(source: DraftOp, target: DraftOp) -> int | None:
    """Cycles after the issue of `source` at which `target` may start on its strips; None where it needs all of them."""
    if not _makes_strips(source) or not _takes_strips(source, target):
        return None
    assert source.result is not None
    strips = max(1, source.result.shape[-1] // STRIP_COLUMNS)
    first, last = -(-source.occupancy_cycles // strips), -(-target.occupancy_cycles // strips)
    return source.depth_cycles + max(first, source.occupancy_cycles - target.occupancy_cycles + last)


def _makes_strips(op: DraftOp) -> bool:
    if op.memory is not Memory.REGISTERS or op.result is None or len(op.result.shape) != _RANK:
        return False
    return op.fuses or op.opcode in _LOADS


def _takes_strips(source: DraftOp, target: DraftOp) -> bool:
    """Stores and reductions of the tile, and changes of it; not what reads it spread over a larger one."""
    assert source.result is not None
    if target.opcode in _STORES:
        return True
    if target.result is None:
        return False
    if target.opcode == "tt.reduce":
        return target.result.elements < source.result.elements
    return target.fuses and target.result.shape == source.result.shape


def _registers(op: DraftOp) -> int:
    """The share of a strip: as many columns of the tile's own, which has one column at least."""
    columns = op.result.shape[-1] if op.result and op.result.shape else 1
    return min(op.registers, -(-op.registers * STRIP_COLUMNS // columns))
