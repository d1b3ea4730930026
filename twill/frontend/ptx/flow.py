"""Control flow of a PTX function: basic blocks, dominators, natural loops as a tree; spin waits become one wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from backends.ptx.syntax import Function, Guard, Instruction, Label, Symbol

if TYPE_CHECKING:
    import networkx

# These end a block; without a guard nothing follows them.
_ENDS = frozenset({"bra", "brx", "ret", "exit", "trap"})
# What may stand in a loop that does nothing but wait on a barrier.
_SPIN_PARTS = frozenset({"bra", "setp", "selp", "mov", "nanosleep", "mbarrier", "not", "and"})
_SPIN_WAITS = ("mbarrier.try_wait", "mbarrier.test_wait")


@dataclass(frozen=True)
class Edge:
    """Control goes to block `target` where `condition` holds; None: always, or by an indirect branch."""

    target: int
    condition: Guard | None = None


@dataclass(frozen=True)
class Block:
    """Straight-line instructions, a branch last if there is one; blocks are numbered in text order."""

    index: int
    instructions: tuple[Instruction, ...]
    successors: tuple[Edge, ...]

    @property
    def is_indirect(self) -> bool:
        """True where several successors have no condition (`brx`)."""
        return len({e.target for e in self.successors if e.condition is None}) > 1


@dataclass(frozen=True)
class NaturalLoop:
    """A loop: the blocks from which its latches are reached without passing the header.

    `irreducible`: a cycle that can be entered at several blocks; its header is then the first of them in the text.
    """

    header: int
    blocks: frozenset[int]
    latches: tuple[int, ...]
    children: tuple[NaturalLoop, ...] = ()
    irreducible: bool = False


@dataclass(frozen=True)
class Flow:
    """The control-flow graph; block 0 is the entry, and blocks that it does not reach are gone."""

    blocks: Mapping[int, Block]

    @cached_property
    def graph(self) -> networkx.DiGraph[int]:
        """Block numbers and edges."""
        import networkx

        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_nodes_from(self.blocks)
        graph.add_edges_from((b.index, e.target) for b in self.blocks.values() for e in b.successors)
        return graph

    @cached_property
    def dominators(self) -> Mapping[int, int]:
        """Immediate dominator of each block, the entry's own number for the entry."""
        import networkx

        return {0: 0, **{n: d for n, d in networkx.immediate_dominators(self.graph, 0).items() if d is not None}}

    def dominates(self, above: int, below: int) -> bool:
        """True where every path to `below` passes `above`."""
        while below not in (above, 0):
            below = self.dominators[below]
        return below == above

    @cached_property
    def loops(self) -> tuple[NaturalLoop, ...]:
        """The outermost loops in text order, each with its children."""
        return _tree(_natural_loops(self))


def control_flow(function: Function) -> Flow:
    """The control-flow graph with spin waits folded: a loop of only `mbarrier.try_wait` is one waiting instruction."""
    flow = _reachable(_blocks(function))
    while spin := next((loop for loop in _single_latch_loops(flow) if _is_spin(flow, loop)), None):
        flow = _reachable(_fold_spin(flow, spin))
    return flow


def _reachable(blocks: Mapping[int, Block]) -> Flow:
    import networkx

    kept = networkx.descendants(Flow(blocks).graph, 0) | {0}
    return Flow({index: block for index, block in blocks.items() if index in kept})


# Blocks


def _blocks(function: Function) -> dict[int, Block]:
    pieces, starts = _pieces(function)
    last = len(pieces) - 1
    return {
        index: Block(index, tuple(piece), _successors(function, piece, index + 1 if index < last else None, starts))
        for index, piece in enumerate(pieces)
    }


def _pieces(function: Function) -> tuple[list[list[Instruction]], dict[str, int]]:
    """Instructions cut at branches and at the labels that branches name, and the piece that each label starts."""
    named = _branch_labels(function)
    pieces: list[list[Instruction]] = [[]]
    starts: dict[str, int] = {}
    for statement in function.statements:
        if isinstance(statement, Label):
            if statement.name in named:
                pieces += [[]] if pieces[-1] or len(pieces) == 1 else []
                starts[statement.name] = len(pieces) - 1
            continue
        pieces[-1].append(statement)
        if statement.base in _ENDS:
            pieces.append([])
    return pieces, starts


def _branch_labels(function: Function) -> frozenset[str]:
    branches = (s for s in function.statements if isinstance(s, Instruction) and s.base == "bra")
    direct = {o.name for branch in branches for o in branch.operands if isinstance(o, Symbol)}
    return frozenset(direct.union(*function.targets.values()))


def _successors(
    function: Function, piece: list[Instruction], following: int | None, starts: Mapping[str, int]
) -> tuple[Edge, ...]:
    fall = () if following is None else (Edge(following),)
    if not piece or piece[-1].base not in _ENDS:
        return fall
    end = piece[-1]
    labels = [o.name for o in end.operands if isinstance(o, Symbol)]
    if end.base == "brx":
        labels = [label for table in labels for label in function.targets.get(table, ())]
    taken = tuple(Edge(starts[label], end.guard) for label in labels if label in starts)
    if end.guard is None:
        return taken
    otherwise = Guard(end.guard.register, not end.guard.expected)
    edges = (*taken, *(Edge(e.target, otherwise) for e in fall))
    # A branch to what follows anyway is no branch.
    return (Edge(edges[0].target),) if len({e.target for e in edges}) == 1 and taken and fall else edges


# Loops


def _natural_loops(flow: Flow) -> list[NaturalLoop]:
    back: dict[int, list[int]] = {}
    for source, target in _back_edges(flow):
        back.setdefault(target, []).append(source)
    loops = [NaturalLoop(h, _body(flow, h, latches), tuple(sorted(latches))) for h, latches in back.items()]
    return loops + _irreducible(flow, back)


def _single_latch_loops(flow: Flow) -> Iterator[NaturalLoop]:
    """One loop for each back edge: a spin wait may share its header with the loop whose body it starts."""
    for latch, header in _back_edges(flow):
        yield NaturalLoop(header, _body(flow, header, (latch,)), (latch,))


def _back_edges(flow: Flow) -> list[tuple[int, int]]:
    return [(source, target) for source, target in flow.graph.edges if flow.dominates(target, source)]


def _body(flow: Flow, header: int, latches: Iterable[int]) -> frozenset[int]:
    body, pending = {header}, list(latches)
    while pending:
        block = pending.pop()
        if block not in body:
            body.add(block)
            pending += flow.graph.predecessors(block)
    return frozenset(body)


def _irreducible(flow: Flow, back: Mapping[int, list[int]]) -> list[NaturalLoop]:
    import networkx

    forward = flow.graph.copy()
    forward.remove_edges_from((latch, header) for header, latches in back.items() for latch in latches)
    cycles = [c for c in networkx.strongly_connected_components(forward) if len(c) > 1]
    return [NaturalLoop(min(cycle), frozenset(cycle), (max(cycle),), irreducible=True) for cycle in cycles]


def _tree(loops: list[NaturalLoop]) -> tuple[NaturalLoop, ...]:
    """Nest the loops: the parent is the smallest loop that has all blocks of the child and more."""
    by_size = sorted(loops, key=lambda loop: (len(loop.blocks), not loop.irreducible, loop.header))
    children: dict[int, list[NaturalLoop]] = {}
    roots: list[NaturalLoop] = []
    for position, loop in enumerate(by_size):
        nested = replace(loop, children=tuple(sorted(children.get(position, []), key=lambda c: c.header)))
        parent = next((p for p in range(position + 1, len(by_size)) if loop.blocks <= by_size[p].blocks), None)
        (roots if parent is None else children.setdefault(parent, [])).append(nested)
    return tuple(sorted(roots, key=lambda loop: loop.header))


# Spin waits


def _is_spin(flow: Flow, loop: NaturalLoop) -> bool:
    instructions = [i for index in loop.blocks for i in flow.blocks[index].instructions]
    waits = [i for i in instructions if i.opcode.startswith(_SPIN_WAITS)]
    harmless = all(i.base in _SPIN_PARTS for i in instructions)
    barriers = [i for i in instructions if i.base == "mbarrier"]
    return harmless and bool(waits) and waits == barriers and len(_exits(flow, loop)) == 1


def _exits(flow: Flow, loop: NaturalLoop) -> set[int]:
    return {e.target for b in loop.blocks for e in flow.blocks[b].successors if e.target not in loop.blocks}


def _fold_spin(flow: Flow, loop: NaturalLoop) -> dict[int, Block]:
    instructions = [i for index in sorted(loop.blocks) for i in flow.blocks[index].instructions if i.base != "bra"]
    folded = tuple(replace(i, spin=True) if i.opcode.startswith(_SPIN_WAITS) else i for i in instructions)
    block = Block(loop.header, folded, tuple(Edge(target) for target in _exits(flow, loop)))
    return {i: b for i, b in flow.blocks.items() if i not in loop.blocks} | {loop.header: block}
