"""If-conversion: the blocks of an innermost loop in one line, each under the branch conditions that lead to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twill.frontend.ptx.flow import Block, Edge, Flow, NaturalLoop

_END = -1


@dataclass(frozen=True)
class Condition:
    """The block runs where the branch at the end of block `branch` goes the way `expected` of its register."""

    branch: int
    expected: bool


@dataclass(frozen=True)
class Region:
    """Blocks in an order in which all code of an iteration can be issued; `conditions` of a block hold together.

    `refusal` tells why the blocks have no such form.
    """

    blocks: tuple[Block, ...] = ()
    conditions: Mapping[int, tuple[Condition, ...]] | None = None
    exits: tuple[tuple[int, Edge], ...] = ()
    refusal: str = ""


def convert(flow: Flow, loop: NaturalLoop) -> Region:
    """Turn nested ifs inside the loop into conditions (Allen et al. 1983, by control dependence: Ferrante et al. 1987).

    Conditions of one block form a chain; a block that two different branches lead to (an `or`) is refused.
    """
    import networkx

    exits = tuple((b, e) for b in sorted(loop.blocks) for e in flow.blocks[b].successors if e.target not in loop.blocks)
    inside = {b: _inside(flow.blocks[b], loop) for b in loop.blocks}
    graph: networkx.DiGraph[int] = networkx.DiGraph((b, e.target) for b, edges in inside.items() for e in edges)
    if not networkx.is_directed_acyclic_graph(graph):
        return Region(refusal="its control flow cannot be reduced to nested ifs: a cycle is entered at several places")
    if place := _indirect(flow, loop):
        return Region(refusal=f"an indirect branch decides inside the loop ({place})")
    merge = dict(networkx.immediate_dominators(graph.reverse(), _END))
    direct = _control_dependences(inside, merge)
    conditions: dict[int, tuple[Condition, ...]] = {}
    order = list(networkx.lexicographical_topological_sort(graph, key=lambda b: b if b != _END else 1 << 60))
    for block in order[:-1]:
        if len(direct[block]) > 1:
            return Region(refusal=f"control flow at {_place(flow.blocks[block])} is no nest of ifs")
        conditions[block] = tuple(c for first in direct[block] for c in (*conditions[first.branch], first))
    return Region(tuple(flow.blocks[b] for b in order[:-1]), conditions, exits)


def _inside(block: Block, loop: NaturalLoop) -> tuple[Edge, ...]:
    """Edges that stay in the iteration; those to the header go to its end."""
    edges = (Edge(_END if e.target == loop.header else e.target, e.condition) for e in block.successors)
    kept = tuple(e for e in edges if e.target == _END or e.target in loop.blocks)
    same = len({e.target for e in kept}) == 1
    return (Edge(kept[0].target),) if same else kept


def _control_dependences(inside: Mapping[int, tuple[Edge, ...]], merge: Mapping[int, int]) -> dict[int, set[Condition]]:
    """For each block the branch outcomes that decide whether it runs; `merge` is the immediate post-dominator."""
    found: dict[int, set[Condition]] = {block: set() for block in inside}
    for block, edges in inside.items():
        for edge in edges if len(edges) > 1 else ():
            assert edge.condition is not None
            for dependent in _up(edge.target, merge, merge[block]):
                found[dependent].add(Condition(block, edge.condition.expected))
    return found


def _up(block: int, merge: Mapping[int, int], stop: int) -> Iterator[int]:
    while block != stop:
        yield block
        block = merge[block]


def _indirect(flow: Flow, loop: NaturalLoop) -> str:
    blocks = (flow.blocks[b] for b in sorted(loop.blocks))
    return next((_place(b) for b in blocks if b.is_indirect), "")


def _place(block: Block) -> str:
    place = next((i.place for i in block.instructions), None)
    return str(place) if place else f"block {block.index}"
