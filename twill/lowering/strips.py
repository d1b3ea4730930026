"""Tiles that pass through registers in strips: loaded, changed and stored again a few columns at a time.

A tile that is only changed element by element on its way to a memory never stands in registers as a whole: the warps
load a strip, change it, store it, and take the next (`tcgen05.ld.32x32b.x32` moves 32 columns; the correction group of
FlashAttention-4 rescales its output so). Cycles are those of the whole tile.
"""

from __future__ import annotations

from collections.abc import Mapping

from ir.types import Memory
from twill.lowering.draft import DraftEdge, DraftOp

STRIP_COLUMNS = 32
_STORES = frozenset({"tmem_store", "smem_store", "tt.store", "tt.descriptor_store"})


def strip_registers(ops: Mapping[str, DraftOp], readers: Mapping[str, tuple[DraftEdge, ...]]) -> Mapping[str, int]:
    """Registers of each thread for each op whose result passes in strips."""
    return {name: _registers(op) for name, op in ops.items() if _passes(name, ops, readers)}


def _passes(name: str, ops: Mapping[str, DraftOp], readers: Mapping[str, tuple[DraftEdge, ...]]) -> bool:
    """True where the result is read once, in the same iteration, by a store or by a change on the way to one."""
    op, edges = ops[name], readers[name]
    if op.memory is not Memory.REGISTERS or len(edges) != 1 or edges[0].source.distance or edges[0].role != "data":
        return False
    if not (op.fuses or op.opcode in ("tmem_load", "smem_load")):
        return False
    reader = ops[edges[0].target]
    return reader.opcode in _STORES or (reader.fuses and _passes(reader.name, ops, readers))


def _registers(op: DraftOp) -> int:
    """The share of a strip: as many columns of the tile's own, which has one column at least."""
    columns = op.result.shape[-1] if op.result and op.result.shape else 1
    return min(op.registers, -(-op.registers * STRIP_COLUMNS // columns))
