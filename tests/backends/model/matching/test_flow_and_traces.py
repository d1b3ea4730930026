"""Flows give back the counts of walks through random programs, traces the blocks that were walked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.model.matching.anchors import Anchor, anchors
from backends.model.matching.flow import Flow, solve_flow
from backends.model.matching.traces import build_trace
from backends.model.sm.trace import Repeat, Run, Step, WarpTrace
from backends.sass.flow import Block
from backends.sass.function import Function
from backends.sass.loops import loops_of
from ir.diagnostics import ExitCode, UserError
from tests.backends.model.matching.programs import Around, Built, Either, Item, Straight, _instruction


def walked(trace: Sequence[Step], times: int = 1) -> Counter[int]:
    """Executions of each block by a trace."""
    found: Counter[int] = Counter()
    for step in trace:
        inner = Counter(step.blocks) if isinstance(step, Run) else walked(step.body, step.count)
        found.update({block: n * times for block, n in inner.items()})
    return found


def in_order(trace: WarpTrace) -> list[int]:
    """The blocks of a trace one by one."""
    found: list[int] = []
    for step in trace:
        found += step.blocks if isinstance(step, Run) else in_order(step.body) * step.count
    return found


def solved(built: Built, opcodes: Mapping[int, str] | None = None) -> Flow:
    """The flow of a walk of which every block is an anchor."""
    function = built.function
    lines = dict.fromkeys(range(1, len(function.blocks)), "ld.global.f32")
    counts = {block + 1: n for block, n in built.visits.items()}
    flow = solve_flow(function, anchors(function, opcodes or lines, counts))
    assert flow is not None
    return flow


def programs(trips: st.SearchStrategy[tuple[int, int]]) -> st.SearchStrategy[tuple[Item, ...]]:
    """Up to three levels of loops and branches."""
    straight = st.builds(Straight)

    def larger(inner: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
        body = st.lists(inner, max_size=3).map(tuple)
        loops = st.builds(lambda b, t: Around(b, *t), body, trips)
        return loops | st.builds(Either, body, body, st.sampled_from([0.0, 0.3, 0.7, 1.0]))

    return st.lists(st.recursive(straight, larger, max_leaves=6), max_size=4).map(tuple)


FIXED = st.integers(1, 5).map(lambda n: (n, n))
VARYING = st.tuples(st.integers(1, 3), st.integers(0, 6)).map(lambda t: (t[0], t[0] + t[1]))


@settings(max_examples=60, deadline=None)
@given(programs(VARYING), st.integers(0, 99))
def test_flow_gives_back_every_count(items: tuple[Item, ...], seed: int) -> None:
    built = Built(items, seed)
    flow = solved(built)
    assert flow.deviation == 0
    assert {b: flow.of_block(b) for b in range(len(built.successors))} == {
        b: built.visits[b] for b in range(len(built.successors))
    }


@settings(max_examples=60, deadline=None)
@given(programs(FIXED), st.integers(0, 99))
def test_trace_walks_along_edges(items: tuple[Item, ...], seed: int) -> None:
    built = Built(items, seed)
    order = in_order(build_trace(built.function, solved(built)))
    assert order[0] == 0 and order[-1] == len(built.successors) - 1
    for source, target in pairwise(order):
        assert target in built.successors[source]


@settings(max_examples=60, deadline=None)
@given(programs(VARYING), st.integers(0, 99))
def test_trace_executes_about_as_much(items: tuple[Item, ...], seed: int) -> None:
    built = Built(items, seed)
    trace = walked(build_trace(built.function, solved(built)))
    total = sum(built.visits.values())
    assert sum(trace.values()) == pytest.approx(total, rel=0.15, abs=8)


def without_branches(items: Sequence[Item]) -> tuple[Item, ...]:
    """The same loops, branches taken out."""
    kept = [i for i in items if not isinstance(i, Either)]
    return tuple(Around(without_branches(i.body), i.least, i.most) if isinstance(i, Around) else i for i in kept)


@settings(max_examples=60, deadline=None)
@given(programs(FIXED))
def test_trace_of_fixed_loops_is_the_walk(items: tuple[Item, ...]) -> None:
    built = Built(without_branches(items))
    assert in_order(build_trace(built.function, solved(built))) == built.order


def test_loop_that_varies_is_shared_out() -> None:
    """3 entries, 7 iterations in all: two of two and one of three."""
    built = Built((Around((Around((), 1, 1),), 3, 3),))
    flow = solved(built)
    inner = next(loop for loop in built.function.loops if loop.parent is not None)
    (back,) = inner.back_edges
    more = Flow({**flow.edges, back: 4, (inner.header, back[0]): 7}, 0, 0)
    trace = walked(build_trace(built.function, more))
    assert trace[inner.header] == 7


def unrolled() -> Function:
    """A loop of four copies of line 7 and its remainder of one: entry, main (1), remainder (2), exit (3)."""
    code = [_instruction(0, "MOV")]
    code += [_instruction(n, "LDG") for n in range(1, 6)]
    code = [_line(i, 7 if i.opcode == "LDG" else None) for i in code] + [_line(_instruction(6, "EXIT"), None)]
    blocks = (Block(0, 0, 1, (1, 2)), Block(1, 1, 5, (1, 2)), Block(2, 5, 6, (2, 3)), Block(3, 6, 7, ()))
    return Function("kernel", "sm_90a", tuple(code), blocks, loops_of(blocks, [0]))


def _line(instruction, line):  # type: ignore[no-untyped-def]
    return replace(instruction, ptx_line=line)


def test_unrolled_loop_comes_before_its_remainder() -> None:
    function = unrolled()
    flow = solve_flow(function, anchors(function, {7: "ld.global.f32"}, {7: 4099}))
    assert flow is not None
    assert (flow.deviation, flow.of_block(1), flow.of_block(2)) == (0, 1024, 3)
    assert build_trace(function, flow) == (
        Run((0,)), Repeat((Run((1,)),), 1024), Repeat((Run((2,)),), 3), Run((3,)),
    )  # fmt: skip


def test_loop_of_arithmetic_alone_is_counted_by_it() -> None:
    """Of a 64-bit addition two instructions are made: a loop of four copies has eight."""
    code = [_line(_instruction(0, "MOV"), None), *(_line(_instruction(n, "IADD3"), 7) for n in range(1, 11))]
    code.append(_line(_instruction(11, "EXIT"), None))
    blocks = (Block(0, 0, 1, (1, 2)), Block(1, 1, 9, (1, 2)), Block(2, 9, 11, (2, 3)), Block(3, 11, 12, ()))
    function = Function("kernel", "sm_90a", tuple(code), blocks, loops_of(blocks, [0]))
    flow = solve_flow(function, anchors(function, {7: "add.s64"}, {7: 4 * 25 + 3}))
    assert flow is not None
    assert (flow.deviation, flow.of_block(1), flow.of_block(2)) == (0, 25, 3)


def test_count_that_no_path_gives_is_a_deviation() -> None:
    built = Built((Straight(),))
    flow = solve_flow(built.function, [Anchor(2, 5, 8, {1: 1})])
    assert flow is not None
    assert (flow.deviation, flow.total) == (4, 5)


def test_instruction_that_was_given_a_guard_may_run_more_often_than_its_branch_was_taken() -> None:
    """PTX branches around a load, machine code guards it: block 1 runs as often as the barrier says."""
    blocks = (Block(0, 0, 1, (1,)), Block(1, 1, 3, (1, 2)), Block(2, 3, 4, ()))
    code = [_instruction(n, o) for n, o in enumerate(("MOV", "BAR", "LDS", "EXIT"))]
    code[2] = replace(code[2], guard="!P0")
    function = Function("kernel", "sm_90a", tuple(code), blocks, loops_of(blocks, [0]))
    counts = {2: 10, 3: 1}
    inside = anchors(function, {2: "bar.sync", 3: "ld.shared.f32"}, counts)
    flow = solve_flow(function, inside)
    assert flow is not None
    assert (flow.of_block(1), flow.deviation) == (10, 0)
    guarded = anchors(function, {2: "bar.sync", 3: "@%p1 ld.shared.f32"}, counts)
    assert [a.may_exceed for a in guarded] == [False, False]


def test_loop_that_is_not_entered_does_not_turn() -> None:
    """The branch around the loop is taken; a count of its block could only come from a cycle on its own."""
    blocks = (Block(0, 0, 1, (1, 2)), Block(1, 1, 2, (1, 2)), Block(2, 2, 3, ()))
    code = tuple(_instruction(n, o) for n, o in enumerate(("LDG", "LDG", "EXIT")))
    function = Function("kernel", "sm_90a", code, blocks, loops_of(blocks, [0]))
    flow = solve_flow(function, [Anchor(1, 1, 8, {0: 1}), Anchor(2, 0, 8, {1: 1})])
    assert flow is not None
    assert flow.of_block(1) == 0


def test_no_exit_gives_no_flow() -> None:
    blocks = (Block(0, 0, 1, (0,)),)
    function = Function("kernel", "sm_90a", (_instruction(0, "BRA"),), blocks, loops_of(blocks, [0]))
    assert solve_flow(function, []) is None


def test_function_is_walked_where_it_is_called() -> None:
    """A loop of three calls a function that loops twice: entry 0, caller 1, exit 2; callee 3, its loop 4, return 5."""
    blocks = (
        Block(0, 0, 1, (1,)), Block(1, 1, 2, (1, 2), callee=3), Block(2, 2, 3, ()),
        Block(3, 3, 4, (4,)), Block(4, 4, 5, (4, 5)), Block(5, 5, 6, ()),
    )  # fmt: skip
    opcodes = ("MOV", "CALL", "EXIT", "LDG", "LDG", "RET")
    code = tuple(_instruction(n, opcode) for n, opcode in enumerate(opcodes))
    function = Function("kernel", "sm_90a", code, blocks, loops_of(blocks, [0, 3]))
    flow = solve_flow(function, anchors(function, {4: "ld.global.f32", 5: "ld.global.f32"}, {4: 3, 5: 6}))
    assert flow is not None
    assert flow.deviation == 0
    assert in_order(build_trace(function, flow)) == [0, *([1, 3, 4, 4, 5] * 3), 2]


def test_search_that_is_cut_off_is_not_taken_for_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.model.matching.flow._DETERMINISTIC_SECONDS", 0.0)
    built = Built((Around((Around((), 2, 2),), 3, 3), Either((), (), 0.5)))
    with pytest.raises(UserError, match="match-timeout") as caught:
        solved(built)
    assert caught.value.exit_code == ExitCode.TIME_LIMIT


def test_a_guarded_loop_is_entered_on_every_turn_of_the_one_around_it() -> None:
    """Eight turns of an outer loop and 32 of the inner one, before which five instructions stand."""
    successors = [(1,), (2, 4), (3,), (3, 4), (1, 5), ()]
    starts = [0, 1, 2, 7, 8, 9, 10]
    code = tuple(_instruction(n, "EXIT" if n == 9 else "LDG") for n in range(10))
    blocks = tuple(Block(n, starts[n], starts[n + 1], after) for n, after in enumerate(successors))
    function = Function("kernel", "sm_90a", code, blocks, loops_of(blocks, [0]))
    flow = solve_flow(function, [Anchor(1, 8, 8, {1: 1}), Anchor(2, 32, 8, {3: 1})])
    assert flow is not None and flow.deviation == 0
    assert flow.edges[2, 3] == 8 and (1, 4) not in flow.edges
