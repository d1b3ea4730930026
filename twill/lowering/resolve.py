"""Loop-carried references replaced by the ops of an earlier iteration, and duplicate edges merged."""

from __future__ import annotations

from dataclasses import replace

from twill.lowering.context import CARRIED, Context
from twill.lowering.draft import DraftEdge, Ref, Refs, Tile


def resolve(context: Context) -> list[DraftEdge]:
    """The draft's edges between ops, each pair, distance and kind once."""
    found: dict[tuple[Ref, str, bool], DraftEdge] = {}
    for edge in context.draft.edges:
        for ref in _concrete(context, edge.source, frozenset()):
            key = (ref, edge.target, edge.role == "order")
            if key not in found or edge.role == "accumulator":
                found[key] = replace(edge, source=ref)
    return list(found.values())


def _concrete(context: Context, ref: Ref, seen: frozenset[str]) -> Refs:
    """A value that only passes itself on depends on no op."""
    if not ref.op.startswith(CARRIED):
        return (ref,)
    if ref.op in seen:
        return ()
    earlier = (Ref(r.op, r.distance + ref.distance + 1) for r in _yielded(context, ref.op).refs)
    return tuple(dict.fromkeys(c for r in earlier for c in _concrete(context, r, seen | {ref.op})))


def _yielded(context: Context, placeholder: str) -> Tile:
    name, _, copy = placeholder.removeprefix(CARRIED).partition("[")
    return context.tile(context.scope.carried[name].yielded, int(copy[:-1]) if copy else None)
