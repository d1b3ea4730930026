"""Reward, floors and guardrails: time decides, proxies only lean."""

from __future__ import annotations

import dataclasses
from math import log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.machines import load_machine
from ir.task import load_task
from optiml.evaluate.floors import distinct_bytes, floor_us
from optiml.evaluate.judge import Judge, secret_seed
from optiml.evaluate.reward import DECEIT, FAILURE, PROXY_BOUND, WEIGHTS, proxy_terms, reward_of
from optiml.search.finalists import NOISE, choose, guarded
from optiml.search.protocol import Scored
from optiml.store.store import Store
from optiml.verdict import Metrics, SizeTime, Status, Verdict, failed
from tests.optiml.landscape import BASE_JOB, Formula, baseline, program

KERNELS = Path(__file__).parents[3] / "kernels"
COUNTS = st.floats(0, 1e15)
COUNTERS = st.fixed_dictionaries(
    {
        name: COUNTS
        for name in (
            "dram_bytes",
            "warp_instructions",
            "sector_bytes",
            "asked_bytes",
            "shared_passes",
            "shared_requests",
        )
    }
)


def metrics(*times_us: float, **more: object) -> Metrics:
    times = tuple(SizeTime({"N": n}, t, t, t) for n, t in enumerate(times_us))
    return dataclasses.replace(Metrics("modelled", times), **more)  # type: ignore[arg-type]


METRICS = st.builds(
    lambda counters, spills, occupancy: metrics(1.0, counters=counters, spill_bytes=spills, occupancy=occupancy),
    COUNTERS, st.integers(0, 10**6), st.floats(0, 1),
)  # fmt: skip


@given(METRICS, METRICS)
def test_proxies_are_bounded_and_change_sign_with_the_sides(one: Metrics, other: Metrics) -> None:
    assert abs(proxy_terms(one, other)) <= PROXY_BOUND + 1e-12
    assert proxy_terms(one, other) == pytest.approx(-proxy_terms(other, one), abs=1e-9)
    assert proxy_terms(one, one) == 0.0


def test_the_weights_add_up_to_the_bound() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(PROXY_BOUND)


def test_the_reward_is_the_logarithm_of_the_speed_up() -> None:
    assert reward_of(Verdict(Status.OK, "profile", metrics=metrics(5.0)), metrics(10.0)) == pytest.approx(log(2))
    assert reward_of(Verdict(Status.OK, "profile", metrics=metrics(1.0, 4.0)), metrics(2.0, 2.0)) == pytest.approx(0)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK])
def test_a_failure_is_worse_than_any_slow_down_by_proxies(status: Status) -> None:
    reward = reward_of(failed(status, "verify", ""), metrics(1.0))
    assert reward == (DECEIT if status in (Status.CHEATING, Status.IMPOSSIBLE_TIME) else FAILURE)
    assert reward < -PROXY_BOUND


def test_no_size_may_get_slower() -> None:
    new = Verdict(Status.OK, "profile", metrics=metrics(1.0, 10.5))
    assert guarded(new, metrics(10.0, 10.0)).status is Status.REGRESSION
    assert "N=1" in guarded(new, metrics(10.0, 10.0)).evidence
    assert guarded(new, metrics(10.0, 10.5 / (1 + NOISE / 2))).is_ok


def test_the_floor_is_the_bytes_over_the_bandwidth() -> None:
    task, machine = load_task(KERNELS / "transpose"), load_machine("a100")
    sizes = {"ROWS": 8192, "COLS": 16384}
    whole, l2_bytes = 2 * 4 * 8192 * 16384, 40 << 20
    assert distinct_bytes(task, sizes) == whole
    assert floor_us(task, sizes, machine) == pytest.approx((whole - l2_bytes) / 2039e3)
    assert floor_us(task, sizes, machine, touched_bytes=2039e5) == pytest.approx(100 - l2_bytes / 2039e3)
    assert floor_us(task, sizes, machine, touched_bytes=60e6) == pytest.approx(30e6 / 2039e3), "the L2 keeps the rest"


def test_what_is_read_and_written_counts_twice_and_small_data_by_the_l2() -> None:
    task, machine = load_task(KERNELS / "sgemm"), load_machine("a100")
    sizes = {"M": 10, "N": 10, "K": 10}
    assert distinct_bytes(task, sizes) == 3 * 100 * 4
    assert floor_us(task, sizes, machine) == pytest.approx(1600 / (5120 * 1410))


def test_seeds_differ_by_candidate_and_purpose() -> None:
    seeds = {secret_seed(s, purpose, key) for s in range(3) for purpose in ("search", "confirm") for key in "abc"}
    assert len(seeds) == 18


def confirmed(tmp_path: Path, judge: object, found: list[Scored]) -> object:
    with Store.create(tmp_path / "r", {}) as store:
        evaluator = Formula(judge)  # type: ignore[arg-type]
        return choose(baseline(0, 0), found, Judge(evaluator, BASE_JOB, 0, store, "confirm"))


def ok(time_us: float) -> Verdict:
    return Verdict(Status.OK, "profile", metrics=metrics(time_us))


def test_the_winner_is_the_fastest_that_passes_again(tmp_path: Path) -> None:
    found = [Scored(program(n, n), ok(10.0 - n), 0.0, (f"edit{n}",)) for n in range(1, 8)]

    def again(point: tuple[int, ...]) -> Verdict:
        if point[0] >= 5:
            return failed(Status.WRONG_RESULT, "verify", "with other inputs")
        return ok(10.0 - point[0])

    final = confirmed(tmp_path, again, found)
    assert final.winner.scored.candidate == program(4, 4)  # type: ignore[attr-defined]
    assert [f.scored.candidate for f in final.finalists[:3]] == [program(n, n) for n in (7, 6, 5)]  # type: ignore[attr-defined]


def test_proxies_do_not_choose_the_winner(tmp_path: Path) -> None:
    found = [Scored(program(1, 1), ok(5.0), 9.0, ("a",)), Scored(program(2, 2), ok(4.0), 0.1, ("b",))]
    final = confirmed(tmp_path, lambda p: ok({0: 19.0, 1: 5.0, 2: 4.0}[p[0]]), found)
    assert final.winner.scored.candidate == program(2, 2)  # type: ignore[attr-defined]


def test_without_a_faster_one_there_is_no_winner(tmp_path: Path) -> None:
    final = confirmed(tmp_path, lambda _p: ok(18.9), [Scored(program(1, 1), ok(18.9), 0.0, ("a",))])
    assert final.winner is None  # type: ignore[attr-defined]
