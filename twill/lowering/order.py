"""Order edges: memory dependences and barriers between the ops that access memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from twill.analysis.access import Access, Effect
from twill.analysis.memory import MemoryDependence, memory_dependences
from twill.lowering.context import Context
from twill.lowering.draft import DraftEdge, Ref
from twill.lowering.rules import BARRIERS

# Op names of each operation, by the operation's identity, with the copy that each is of.
Performed = Mapping[int, tuple[tuple[str, int | None], ...]]


def order_edges(context: Context, performed: Performed, assume_distinct_arguments: bool) -> Iterator[DraftEdge]:
    """Edges that keep accesses in order; assumptions go to the draft's notes."""
    found = tuple(context.accesses.values())
    facts = memory_dependences(context.scope, found, assume_distinct_arguments)
    for text in facts.assumptions:
        context.draft.note(text)
    for dependence in facts.dependences:
        yield from _edges(context, performed, dependence)
    yield from _barriers(context, performed, found)


def _edges(context: Context, performed: Performed, dependence: MemoryDependence) -> Iterator[DraftEdge]:
    sources, targets = (performed.get(id(a.operation), ()) for a in (dependence.source, dependence.target))
    latency = _latency(context, dependence.source, dependence.target)
    for (source, one), (target, other) in product(sources, targets):
        if dependence.assumed or one is None or other is None or one == other:
            ref = Ref(source, dependence.distance)
            yield DraftEdge(ref, target, "order", latency, dependence.assumed, dependence.reason)


def _latency(context: Context, source: Access, target: Access) -> int | None:
    """A write is visible after a trip to the L2; a write after a write only follows it; a read must have ended."""
    if source.effect is Effect.READ:
        return None
    return 1 if target.effect is Effect.WRITE else context.costs.cycles("l2_latency_cycles")


def _barriers(context: Context, performed: Performed, found: tuple[Access, ...]) -> Iterator[DraftEdge]:
    """Accesses before a barrier stay before it, those after it after; around the back edge too."""
    position = {id(op): i for i, op in enumerate(context.scope.operations)}
    barriers = [op for op in context.scope.operations if op.opcode in BARRIERS]
    for barrier, access in product(barriers, found):
        before = position[id(access.operation)] < position[id(barrier)]
        for (wall, _), (name, _copy) in product(performed[id(barrier)], performed.get(id(access.operation), ())):
            reason = f"the barrier at {barrier.location}"
            yield DraftEdge(Ref(name, 0 if before else 1), wall, "order", reason=reason)
            yield DraftEdge(Ref(wall, 1 if before else 0), name, "order", reason=reason)
