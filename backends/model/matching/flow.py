"""How often each edge of the control-flow graph of machine code was taken, from the counts of a few instructions.

What enters a block leaves it, a loop turns only if it was entered, and the anchors' counts should come out: an integer
program over the edges. First the weighted sum of deviations is as small as it can be, then the number of instructions
executed: of an unrolled loop and its remainder, the unrolled one is preferred, as the assembler's code does. What only
leads into a loop does not count, and loops are entered as often as they can be: else the guard of a loop would be taken
to skip it on every turn of the loop around it but one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.model.matching.anchors import Anchor
from backends.sass.function import Function
from backends.sass.loops import Loop
from ir.diagnostics import Diagnostic, ExitCode, UserError

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Edge = tuple[int, int]
ENTRY = EXIT = -1
# Entering a block counts as an instruction, so that of two ways with the same instructions the straighter one is taken.
_ENTERING = 1
# One instruction that deviates outweighs so many that are executed besides.
_DEVIATION = 1000
_LEAST_TURNS = 1 << 12
_DETERMINISTIC_SECONDS = 4.0


@dataclass(frozen=True)
class Flow:
    """Executions of each edge by one warp, (ENTRY, first block of a function) and (last block, EXIT) among them.

    deviation: the sum over anchors of counts that could not be met; total: of the anchors' counts. is_proven: no other
    flow fits better; else the search was ended before it knew.
    """

    edges: Mapping[Edge, int]
    deviation: int
    total: int
    is_proven: bool = True

    def of_block(self, block: int) -> int:
        """How often a block was entered."""
        return sum(count for (_source, target), count in self.edges.items() if target == block)


def solve_flow(function: Function, anchors: Sequence[Anchor]) -> Flow | None:
    """The best flow, None where there is none: a graph that has no path from its entry to an exit.

    Raises UserError `match-timeout` where the search found no flow in its time, and did not prove that there is none.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    most = max([_LEAST_TURNS, *(a.count for a in anchors)]) * 4
    edges = {edge: model.new_int_var(0, most, f"{edge[0]}_{edge[1]}") for edge in _edges(function)}
    blocks = {b.number: sum(v for (_s, t), v in edges.items() if t == b.number) for b in function.blocks}
    for block in function.blocks:
        model.add(blocks[block.number] == sum(v for (s, _t), v in edges.items() if s == block.number))
    for root in roots_of(function):
        calls = sum(blocks[b.number] for b in function.blocks if b.callee == root)
        model.add(edges[ENTRY, root] == (1 if root == 0 else calls))
    _no_loop_unentered(model, function, edges, most)
    deviations = [_deviation(model, anchor, blocks, most) for anchor in anchors]
    leading = _leading(function)
    executed = sum(
        blocks[b.number] * (b.last - b.first + _ENTERING) for b in function.blocks if b.number not in leading
    )
    executed -= sum(v for loop in function.loops for (s, t), v in edges.items() if _enters(loop, s, t))
    model.minimize(_DEVIATION * sum(a.weight * d for a, d in zip(anchors, deviations, strict=True)) + executed)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = _DETERMINISTIC_SECONDS
    # OR-Tools would leave Ctrl-C to end the process at once from then on.
    solver.parameters.catch_sigint_signal = False
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise _timeout(function)
    taken = {edge: count for edge, variable in edges.items() if (count := solver.value(variable))}
    deviation, total = sum(map(solver.value, deviations)), sum(a.count for a in anchors)
    return Flow(taken, deviation, total, status == cp_model.OPTIMAL)


def _timeout(function: Function) -> UserError:
    blocks, limit_s = len(function.blocks), _DETERMINISTIC_SECONDS
    message = f"no path through the {blocks} blocks of `{function.name}` was found in {limit_s:g} deterministic seconds"
    return UserError(Diagnostic("match-timeout", message), exit_code=ExitCode.TIME_LIMIT)


def _edges(function: Function) -> list[Edge]:
    inner = [(block.number, successor) for block in function.blocks for successor in block.successors]
    ends = [(block.number, EXIT) for block in function.blocks if leaves(function, block.number)]
    return [*((ENTRY, root) for root in roots_of(function)), *inner, *ends]


def roots_of(function: Function) -> tuple[int, ...]:
    """Blocks where the entry and the functions that it calls start."""
    return tuple(dict.fromkeys([0, *(b.callee for b in function.blocks if b.callee is not None)]))


def reached_from(function: Function, root: int) -> frozenset[int]:
    """The blocks of one function."""
    found, todo = {root}, [root]
    while todo:
        new = set(function.blocks[todo.pop()].successors) - found
        found |= new
        todo.extend(new)
    return frozenset(found)


def leaves(function: Function, block: int) -> bool:
    """Whether a warp may end in a block: it ends with EXIT, or nothing follows it."""
    it = function.blocks[block]
    return not it.successors or function.instructions[it.last - 1].opcode == "EXIT"


def _leading(function: Function) -> frozenset[int]:
    """Blocks from which a warp comes to a loop's first block and nowhere else."""
    return frozenset(
        b.number for b in function.blocks for loop in function.loops
        if b.successors == (loop.header,) and b.number not in loop.blocks
    )  # fmt: skip


def _enters(loop: Loop, source: int, target: int) -> bool:
    return target == loop.header and source not in loop.blocks


def _no_loop_unentered(
    model: cp_model.CpModel, function: Function, edges: Mapping[Edge, cp_model.IntVar], most: int
) -> None:
    for loop in function.loops:
        back = [v for (s, t), v in edges.items() if t == loop.header and s in loop.blocks]
        entering = [v for (s, t), v in edges.items() if _enters(loop, s, t)]
        model.add(sum(back) <= most * sum(entering))


def _deviation(
    model: cp_model.CpModel, anchor: Anchor, blocks: Mapping[int, cp_model.LinearExprT], most: int
) -> cp_model.IntVar:
    seen = sum(n * blocks[block] for block, n in anchor.blocks.items())
    deviation = model.new_int_var(0, most * sum(anchor.blocks.values()), "")
    model.add(deviation >= anchor.count - seen)
    if not anchor.may_exceed:
        model.add(deviation >= seen - anchor.count)
    return deviation
