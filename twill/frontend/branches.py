"""Early returns: a function of several blocks without a cycle becomes one list of items under predicates.

Each block is reached over edges, each under predicates of its own, of which exactly one holds. Where two edges differ
only in the outcome of one condition, they join to what they share. Where edges remain, the predicate is a new value,
the disjunction of theirs. Values that edges bring are chosen by arith.select.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import permutations
from typing import TYPE_CHECKING

from ir.diagnostics import fail
from ir.loop import Predicate
from twill.frontend import places
from twill.frontend.attributes import integers
from twill.frontend.generic import Block, Node
from twill.frontend.names import Item

if TYPE_CHECKING:
    from twill.frontend.build import Builder, Scope

_EXIT = "exit"


@dataclass(frozen=True)
class _Edge:
    """Arrival at a block: under which predicates, with which values for its arguments."""

    predicates: tuple[Predicate, ...]
    values: tuple[str, ...] = ()


def flow(builder: Builder, function: Node, scope: Scope) -> tuple[list[Item], list[str]]:
    """Items of a function's blocks and the values that it returns. Raises UserError (`unstructured-control-flow`)."""
    first, *rest = _order(function)
    join = _Join(builder, scope)
    arriving: dict[str, list[_Edge]] = {label: [] for label in (_EXIT, *(b.label for b in (first, *rest)))}
    arriving[first.label].append(_Edge(scope.predicates, tuple(scope.keys(a.name for a in first.arguments))))
    for block in (first, *rest):
        if not arriving[block.label]:
            continue
        edge = join.edges(arriving[block.label])
        scope = replace(scope.knowing(block.arguments, edge.values), predicates=edge.predicates)
        items, scope = builder.straight(block.nodes[:-1], scope)
        join.items += items
        for label, leaving in _leave(block.nodes[-1], scope):
            arriving[label].append(leaving)
    exits = arriving[_EXIT]
    returned = join.edges(exits).values if exits and exits[0].values else ()
    return join.items, list(returned)


def _order(function: Node) -> list[Block]:
    """The function's blocks, each after those that lead to it."""
    blocks = {block.label: block for block in function.regions[0]}
    sorter: TopologicalSorter[str] = TopologicalSorter({label: () for label in blocks})
    for block in blocks.values():
        for label in block.nodes[-1].successors:
            sorter.add(label, block.label)
    try:
        labels = list(sorter.static_order())
    except CycleError as error:
        place = places.place(blocks[error.args[1][0]].nodes[-1].frames) or places.place(function.frames)
        message = "a loop made of jumps, not of `for` or `while`"
        raise fail("unstructured-control-flow", message, place, "write it as a `for` loop") from None
    entry = function.regions[0][0].label
    return [blocks[label] for label in (entry, *(label for label in labels if label != entry))]


def _leave(node: Node, scope: Scope) -> list[tuple[str, _Edge]]:
    """Where a block's last operation leads."""
    keys = scope.keys(node.operands)
    if node.opcode == "cf.cond_br":
        condition, *values = keys
        _, count, _ = integers(node.attributes["operandSegmentSizes"])
        taken = _Edge(scope.under(condition, True).predicates, tuple(values[:count]))
        other = _Edge(scope.under(condition, False).predicates, tuple(values[count:]))
        return list(zip(node.successors, (taken, other), strict=True))
    label = node.successors[0] if node.successors else _EXIT
    return [(label, _Edge(scope.predicates, tuple(keys)))]


@dataclass
class _Join:
    """Joins edges; the operations that this takes are added to `items`."""

    builder: Builder
    scope: Scope
    items: list[Item] = field(default_factory=list)

    def edges(self, edges: list[_Edge]) -> _Edge:
        """One edge for all of them."""
        while pair := next((p for p in permutations(edges, 2) if _is_if_and_else(*p)), None):
            taken, other = pair
            *outer, condition = taken.predicates
            joined = self.choose(condition.condition, taken.values, _Edge(tuple(outer), other.values))
            edges = [*(e for e in edges if e not in pair), joined]
        return self.disjunction(edges) if len(edges) > 1 else edges[0]

    def choose(self, condition: str, values: tuple[str, ...], other: _Edge) -> _Edge:
        """`values` where the condition holds, else those of `other`; under the predicates of `other`."""
        chosen = (v if v == w else self.emit("arith.select", (condition, v, w), other.predicates, v)
                  for v, w in zip(values, other.values, strict=True))  # fmt: skip
        return _Edge(other.predicates, tuple(chosen))

    def disjunction(self, edges: list[_Edge]) -> _Edge:
        """What the edges share, and a new condition that one of them is taken."""
        shared = tuple(p for p, *others in zip(*(e.predicates for e in edges), strict=False) if {p} == {p, *others})
        conditions = [self.conjunction(e.predicates[len(shared) :], shared) for e in edges]
        joined, anyone = _Edge(shared, edges[-1].values), conditions[-1]
        for condition, edge in zip(conditions[:-1], edges[:-1], strict=True):
            joined = self.choose(condition, edge.values, joined)
            anyone = self.emit("arith.ori", (anyone, condition), shared)
        return replace(joined, predicates=(*shared, Predicate(anyone, True)))

    def conjunction(self, predicates: tuple[Predicate, ...], under: tuple[Predicate, ...]) -> str:
        """A value that is true where all the predicates hold.

        A later condition may be undefined where an earlier predicate does not hold, hence select and not `andi`.
        """
        false = self.emit("arith.constant", (), under, value=False)
        holds = self.emit("arith.constant", (), under, value=True)
        for p in reversed(predicates):
            choices = (holds, false) if p.expected else (false, holds)
            holds = self.emit("arith.select", (p.condition, *choices), under)
        return holds

    def emit(
        self, opcode: str, operands: tuple[str, ...], under: tuple[Predicate, ...], like: str = "", **attributes: bool
    ) -> str:
        """Add an operation, and return the key of its result."""
        operation = self.builder.emit(opcode, operands, replace(self.scope, predicates=under), like)
        self.items.append(replace(operation, attributes=attributes))
        return operation.results[0].name


def _is_if_and_else(taken: _Edge, other: _Edge) -> bool:
    *outer, last = taken.predicates or (None,)
    return last is not None and last.expected and other.predicates == (*outer, Predicate(last.condition, False))
