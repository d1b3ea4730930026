"""Control flow keeps its meaning: kernels of scalars, interpreted, store what Python stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import stores

from ir.diagnostics import UserError
from ir.loop import Kernel, Operation
from twill.frontend.load import FrontendOptions, load_kernel
from twill.frontend.loops import loop_tree
from twill.frontend.mlir import kernel_from_generic

SOURCE = Path(__file__).parent / "sources" / "control_flow.py"
Stores = Iterator[tuple[int, int]]


@cache
def kernel(name: str) -> Kernel:
    return load_kernel(f"{SOURCE}:{name}", FrontendOptions(arguments={"out": "*i32", "n": "i32"}))


def early_return(pid: int, n: int) -> Stores:
    if pid < n:
        yield 0, sum(range(n))


def early_return_inside(pid: int, n: int) -> Stores:
    if pid < n:
        if pid > 3:
            return
        yield 0, 1
    else:
        yield 0, 2
    yield 1, 3


def call_with_returns(pid: int, n: int) -> Stores:
    total = 0
    for i in range(n):
        total += i * 2 if total > 4 else i - 1 if total > 2 else i + 1
    yield 0, total


def nested_ifs(pid: int, n: int) -> Stores:
    total = count = 0
    for i in range(n):
        if i % 2 == 0:
            if pid > i:
                total += i
                count += 1
            else:
                total -= pid
        elif pid == 3:
            count = total
    yield 0, total
    yield 1, count


def nested_loops(pid: int, n: int) -> Stores:
    total = 0
    for i in range(n):
        for j in range(i, 2 * n, 3):
            total += i * j
        if total > 20:
            total -= 10
    yield 0, total


TWINS = [early_return, early_return_inside, call_with_returns, nested_ifs, nested_loops]


@pytest.mark.parametrize("twin", TWINS, ids=lambda f: f.__name__)
@given(pid=st.integers(0, 8), n=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_the_kernel_stores_what_its_twin_stores(twin: Callable[[int, int], Stores], pid: int, n: int) -> None:
    assert stores(kernel(twin.__name__), pid, n) == list(twin(pid, n))


def test_an_early_return_guards_the_rest() -> None:
    (loop,) = kernel("early_return").loops()
    (predicate,) = loop.predicates
    assert predicate.expected is False
    assert kernel("early_return").body[-1].predicates == (predicate,)
    assert all(not item.predicates for item in loop.body)


def test_nested_loops_are_a_tree() -> None:
    rows = loop_tree(kernel("nested_loops"))
    assert [(r.name, r.depth, r.trip_count, r.is_innermost) for r in rows] == [
        ("0", 0, None, False),
        ("0.0", 1, None, True),
        ("0.1", 1, 5, True),
    ]
    lines = SOURCE.read_text().splitlines()
    assert all(r.location is not None and lines[r.location.line - 1].lstrip().startswith("for ") for r in rows)
    assert [len(loop.predicates) for loop in kernel("nested_loops").loops()] == [0, 0, 1]


def test_a_while_loop_is_kept_but_refused() -> None:
    (loop,) = kernel("while_loop").loops()
    (row,) = loop_tree(kernel("while_loop"))
    assert loop.induction is None and loop.carried[0].argument.name == "total.in"
    line = next(i for i, text in enumerate(SOURCE.read_text().splitlines(), 1) if text.lstrip().startswith("while"))
    assert row.location is not None and row.location.line == line
    assert row.refusal is not None and f"control_flow.py:{line}:" in row.refusal


def test_a_call_that_must_stay_is_refused_by_name_and_place() -> None:
    (loop,) = kernel("call_not_inlined").loops()
    line = next(i for i, text in enumerate(SOURCE.read_text().splitlines(), 1) if "_kept(total)" in text)
    assert loop.refusal is not None and "_kept" in loop.refusal and f"control_flow.py:{line}:" in loop.refusal
    assert [op.opcode for op in loop.body if isinstance(op, Operation)] == ["tt.call"]


JUMPS = """\
"builtin.module"() ({
  "tt.func"() <{function_type = (i1) -> (), sym_name = "k", sym_visibility = "public"}> ({
  ^bb0(%c: i1):
    "cf.br"()[^bb1] : () -> ()
  ^bb1:  // 2 preds: ^bb0, ^bb1
    "cf.cond_br"(%c)[^bb1, ^bb2] <{operandSegmentSizes = array<i32: 1, 0, 0>}> : (i1) -> () loc("a.py":7:3)
  ^bb2:
    "tt.return"() : () -> ()
  }) : () -> () loc("a.py":1:1)
}) : () -> ()
"""


def test_a_loop_of_jumps_is_refused_at_its_place() -> None:
    with pytest.raises(UserError, match=r"a\.py:7:3: error: a loop made of jumps.*\[unstructured-control-flow\]"):
        kernel_from_generic(JUMPS, "a.ttir")
