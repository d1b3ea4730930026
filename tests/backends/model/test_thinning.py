"""What loops that never become even take, from two parts of them: exact where time is linear in the work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backends.model.sm import Repeat, Run, SmResult
from backends.model.sm.result import STALLS
from backends.model.sm.steady import IssueLimitError
from backends.model.thinning import ISSUE_LIMIT, Cta, block_lengths, issues_of, simulate_bounded, thin_ctas
from backends.sass.flow import Block
from backends.sass.function import Function
from tests.backends.model.matching.programs import _instruction

FUNCTION = Function(
    "kernel", "sm_90a", tuple(_instruction(n, "FFMA") for n in range(20)),
    (Block(0, 0, 5, (1,)), Block(1, 5, 15, (1, 2)), Block(2, 15, 20, ())), (),
)  # fmt: skip
LONG: Cta = ((Run((0,)), Repeat((Run((1,)),), 1_000_000), Run((2,))),)


def linear(ctas: Sequence[Cta], limit: int | None) -> SmResult:
    """3 cycles for each instruction in the loop, 1000 for what is around it."""
    lengths = block_lengths(FUNCTION)
    total = sum(issues_of(trace, lengths) for cta in ctas for trace in cta)
    if limit is not None and total > limit:
        raise IssueLimitError
    cycles = 1000.0 * len(ctas) + 3.0 * (total - 10 * len(ctas))
    turns = (total - 10 * len(ctas)) // 10
    issues = tuple([len(ctas)] * 5 + [turns] * 10 + [len(ctas)] * 5)
    stalls = {name: tuple(2.0 * n for n in issues) for name in STALLS}
    ends = tuple((0.0, cycles) for _ in ctas)
    return SmResult(cycles, issues, stalls, {"fma": float(total)}, {}, ends, False, True, total, cycles, float(total))


def test_linear_work_is_carried_on_exactly() -> None:
    found = simulate_bounded(FUNCTION, [LONG, LONG], linear)
    assert found.cycles == pytest.approx(2 * 1000 + 3.0 * 20_000_000, rel=1e-9)
    assert found.issues == (*[2] * 5, *[2_000_000] * 10, *[2] * 5)
    assert found.stalls["wait"][7] == pytest.approx(2.0 * 2_000_000)
    assert found.pipe_busy["fma"] == pytest.approx(20_000_020, rel=1e-3)
    assert found.full_cycles / found.full_issues == pytest.approx(3.0, rel=1e-3)
    assert found.is_extrapolated and not found.is_steady
    assert found.simulated_issues < 3 * ISSUE_LIMIT


def test_what_is_short_is_simulated_whole() -> None:
    short: Cta = ((Run((0,)), Repeat((Run((1,)),), 100), Run((2,))),)
    found = simulate_bounded(FUNCTION, [short], linear)
    assert (found.cycles, found.is_steady) == (1000.0 + 3.0 * 1000, True)


def test_traces_that_are_shared_stay_shared() -> None:
    one, other = thin_ctas([LONG * 2, LONG], 0.001)
    assert one[0] is one[1] is other[0]
