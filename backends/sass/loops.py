"""Natural loops of the blocks and how they nest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.sass.flow import Block


@dataclass(frozen=True)
class Loop:
    """A natural loop. header: the block through which it is entered; back_edges: (block, header) pairs.

    parent: index of the innermost loop around it, among the loops of its function.
    """

    header: int
    blocks: frozenset[int]
    back_edges: tuple[tuple[int, int], ...]
    parent: int | None


def loops_of(blocks: Sequence[Block], roots: Iterable[int]) -> tuple[Loop, ...]:
    """Loops reached from the roots (the entry, and each called function), outer ones first, by header.

    An edge is a back edge if its target dominates its source. Source: Aho, Lam, Sethi, Ullman, Compilers (2006),
    section 9.6. Blocks that nothing reaches, such as the padding after the code, are in none.
    """
    parts = [_loops_from(blocks, root) for root in dict.fromkeys(roots)]
    bodies: dict[int, tuple[frozenset[int], tuple[tuple[int, int], ...]]] = {}
    for part in parts:
        bodies.update(part)
    ordered = sorted(bodies.items(), key=lambda item: (-len(item[1][0]), item[0]))
    found: list[Loop] = []
    for header, (body, edges) in ordered:
        around = [i for i, other in enumerate(found) if header in other.blocks]
        found.append(Loop(header, body, edges, around[-1] if around else None))
    return tuple(found)


def _loops_from(blocks: Sequence[Block], root: int) -> dict[int, tuple[frozenset[int], tuple[tuple[int, int], ...]]]:
    order = _reverse_postorder(blocks, root)
    dominators = _immediate_dominators(blocks, order)
    predecessors = _predecessors(blocks, order)
    edges: dict[int, list[tuple[int, int]]] = {}
    for number in order:
        for target in blocks[number].successors:
            if _dominates(dominators, target, number):
                edges.setdefault(target, []).append((number, target))
    return {header: (_body(header, found, predecessors), tuple(found)) for header, found in edges.items()}


def _body(header: int, edges: Iterable[tuple[int, int]], predecessors: dict[int, list[int]]) -> frozenset[int]:
    inside, waiting = {header}, [source for source, _ in edges]
    while waiting:
        number = waiting.pop()
        if number not in inside:
            inside.add(number)
            waiting.extend(predecessors[number])
    return frozenset(inside)


def _reverse_postorder(blocks: Sequence[Block], root: int) -> list[int]:
    order, seen = [], {root}
    stack = [(root, iter(blocks[root].successors))]
    while stack:
        number, successors = stack[-1]
        following = next((s for s in successors if s not in seen), None)
        if following is None:
            order.append(number)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(blocks[following].successors)))
    return order[::-1]


def _predecessors(blocks: Sequence[Block], order: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {number: [] for number in order}
    for number in found:
        for target in blocks[number].successors:
            found[target].append(number)
    return found


def _immediate_dominators(blocks: Sequence[Block], order: Sequence[int]) -> dict[int, int]:
    """Cooper, Harvey, Kennedy, A Simple, Fast Dominance Algorithm (2001)."""
    place = {number: i for i, number in enumerate(order)}
    predecessors = _predecessors(blocks, order)
    found = {order[0]: order[0]}
    is_changed = True
    while is_changed:
        is_changed = False
        for number in order[1:]:
            known = [p for p in predecessors[number] if p in found]
            best = known[0]
            for other in known[1:]:
                best = _common(found, place, best, other)
            is_changed |= found.get(number) != best
            found[number] = best
    return found


def _common(dominators: dict[int, int], place: dict[int, int], one: int, other: int) -> int:
    while one != other:
        while place[one] > place[other]:
            one = dominators[one]
        while place[other] > place[one]:
            other = dominators[other]
    return one


def _dominates(dominators: dict[int, int], one: int, other: int) -> bool:
    while other != one and dominators[other] != other:
        other = dominators[other]
    return other == one
