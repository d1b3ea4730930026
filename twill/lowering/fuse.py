"""Elementwise chains become one op where that loses nothing: fewer ops to schedule, no tile between them.

An op is merged into its only reader where both run on one unit over tiles of one size and the reader waits for nothing
that the op does not wait for. A product that only a sum reads is merged in any case: it is one FMA instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from twill.lowering.draft import Draft, DraftEdge, DraftOp

_CONTRACTS = {("arith.mulf", "arith.addf"), ("arith.mulf", "arith.subf"), ("arith.muli", "arith.addi")}
_FMA = "fma"

_Sources = set[tuple[str, int]]
_Rule = Callable[[DraftOp, DraftOp, _Sources, _Sources], bool]


def fuse(draft: Draft, edges: list[DraftEdge]) -> list[DraftEdge]:
    """Merge ops of the draft; returns the edges that are left."""
    for may_merge in (_contracts, _waits_for_no_more):
        for name in list(draft.ops):
            edges = _merge(draft, edges, name, may_merge)
    return edges


def _merge(draft: Draft, edges: list[DraftEdge], name: str, may_merge: _Rule) -> list[DraftEdge]:
    readers = [e for e in edges if e.source.op == name]
    if len(readers) != 1 or not _is_mergeable(draft, readers[0]):
        return edges
    into = readers[0].target
    own, others = _sources(edges, name), _sources(edges, into) - {(name, 0)}
    op, reader = draft.ops[name], draft.ops[into]
    if not may_merge(op, reader, own, others):
        return edges
    draft.ops[into] = _merged(op, reader)
    del draft.ops[name]
    _rename_readers(draft, name, into)
    kept = [e for e in edges if e.source.op != name]
    moved = [replace(e, target=into) if e.target == name else e for e in kept]
    return list({(e.source, e.target, e.role): e for e in moved}.values())


def _is_mergeable(draft: Draft, edge: DraftEdge) -> bool:
    op, reader = draft.ops[edge.source.op], draft.ops[edge.target]
    if not (op.fuses and reader.fuses) or edge.source.distance or edge.role != "data":
        return False
    same_size = op.result is not None and reader.result is not None and op.result.shape == reader.result.shape
    return op.unit == reader.unit and same_size


def _sources(edges: list[DraftEdge], target: str) -> _Sources:
    return {(e.source.op, e.source.distance) for e in edges if e.target == target}


def _contracts(op: DraftOp, reader: DraftOp, _own: _Sources, _others: _Sources) -> bool:
    return (op.opcode, reader.opcode) in _CONTRACTS


def _waits_for_no_more(_op: DraftOp, _reader: DraftOp, own: _Sources, others: _Sources) -> bool:
    return others <= own


def _merged(op: DraftOp, reader: DraftOp) -> DraftOp:
    if (op.opcode, reader.opcode) in _CONTRACTS:
        return replace(reader, opcode=_FMA, detail=f"fma {reader.result}")
    return replace(
        reader,
        cycles=op.cycles + reader.cycles,
        depth_cycles=op.depth_cycles + reader.depth_cycles,
        detail=f"{_short(op)}, {_short(reader)} {reader.result}",
    )


def _short(op: DraftOp) -> str:
    before = op.detail.removesuffix(str(op.result)).strip(" ,")
    return before or op.opcode.rpartition(".")[2]


def _rename_readers(draft: Draft, old: str, new: str) -> None:
    for key, invariant in draft.invariants.items():
        names: Mapping[str, None] = dict.fromkeys(new if r == old else r for r in invariant.readers)
        draft.invariants[key] = replace(invariant, readers=tuple(names))
