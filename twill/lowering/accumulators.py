"""Sums in tensor memory change where they are: what reads the old sum has to end before the product starts."""

from __future__ import annotations

from collections.abc import Iterator

from ir.types import Memory
from twill.lowering.draft import Draft, DraftEdge, Ref
from twill.lowering.finish import Finisher


def overwrite_edges(draft: Draft, edges: list[DraftEdge]) -> list[DraftEdge]:
    """Order edges from the other readers of each accumulator to the product that overwrites it."""
    finisher = Finisher(draft, tuple(edges))
    changes = [e for e in edges if e.role == "accumulator" and draft.ops[e.source.op].memory is Memory.TENSOR]
    return [made for change in changes for made in _before(finisher, change)]


def _before(finisher: Finisher, change: DraftEdge) -> Iterator[DraftEdge]:
    for other in finisher.readers[change.source.op]:
        if other.target == change.target or other.target in _ordered_before(finisher, change):
            continue
        distance = change.source.distance - other.source.distance
        if distance < 0 or (distance == 0 and other.target in finisher.followers[change.target]):
            finisher.draft.note(
                f"`{change.source.op}` is read after `{change.target}` changes it: a copy is not counted"
            )
            continue
        reason = f"`{change.target}` overwrites what `{other.target}` reads"
        yield DraftEdge(Ref(other.target, distance), change.target, "order", reason=reason)


def _ordered_before(finisher: Finisher, change: DraftEdge) -> frozenset[str]:
    """Readers of the same iteration's value that come before the change as it is."""
    same = (e for e in finisher.readers[change.source.op] if e.source.distance == change.source.distance)
    return frozenset(e.target for e in same if change.target in finisher.followers[e.target])
