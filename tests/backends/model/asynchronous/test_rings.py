"""Rings seen on the emulated device, and what they make of the time: latency by one slot, throughput by many."""

from __future__ import annotations

import pytest

from backends.model.asynchronous.match import asynchronous
from backends.model.asynchronous.observe import observe
from backends.model.asynchronous.uses import Uses, uses
from backends.model.sm.costs import BarrierUse
from tests.backends.model.asynchronous.rings import (
    PRODUCER_CONSUMER,
    launch_of,
    machine_code,
    simulated,
)

BYTES = 8192
TURNS = 200


def defines(stages: int, chain: int = 16, unroll: int = 1) -> str:
    names = {"STAGES": stages, "BYTES": BYTES, "CHAIN": chain, "PRODUCER_UNROLL": unroll}
    return "".join(f"#define {name} {value}\n" for name, value in names.items())


def cycles_per_turn(stages: int, chain: int = 16, unroll: int = 1) -> float:
    """Between turn TURNS and turn 2 * TURNS: what comes before and after the loop is left out."""
    few, many = (
        simulated(PRODUCER_CONSUMER, defines(stages, chain, unroll), turns, smem_bytes=stages * BYTES)
        for turns in (TURNS, 2 * TURNS)
    )
    assert not few[0].notes and "mbarrier-unknown" not in {d.rule for d in few[1].assumptions}
    return (many[1].cycles - few[1].cycles) / TURNS


def seen(source: str, *numbers: int, smem_bytes: int = 0, known: str = "") -> Uses:
    return uses(observe(launch_of(source, known, *numbers, smem_bytes=smem_bytes)))


def by_kind(found: Uses) -> dict[str, list[BarrierUse]]:
    kinds: dict[str, list[BarrierUse]] = {}
    for (kind, _line), use in sorted(found.barriers.items()):
        kinds.setdefault(kind, []).append(use)
    return kinds


def test_one_slot_is_bound_by_latency_and_many_by_the_copies() -> None:
    _, _, parameters = simulated(PRODUCER_CONSUMER, defines(1), TURNS, smem_bytes=BYTES)
    copy = BYTES / parameters.l2_bytes_per_cycle
    one, two, four, eight = (cycles_per_turn(stages) for stages in (1, 2, 4, 8))
    handoffs = 2 * parameters.cycles("mbarrier_handoff_cycles")
    assert one > copy + parameters.cycles("tma_latency_cycles") + handoffs / 2 + 16 * 4
    # The way round the ring is as long with more slots, and shared by as many turns.
    assert (two, four) == (pytest.approx(one / 2, rel=0.03), pytest.approx(one / 4, rel=0.03))
    assert one / 8 < copy and eight == pytest.approx(copy, rel=0.01)


def test_a_slow_consumer_sets_the_pace() -> None:
    """An addition that needs the one before takes 4 cycles."""
    short, long = cycles_per_turn(4, 400), cycles_per_turn(4, 500)
    assert long - short == pytest.approx(400, abs=4)
    assert 1600 < short < 1600 + 120


def test_with_one_slot_consumer_and_latency_add_up() -> None:
    assert cycles_per_turn(1, 216) - cycles_per_turn(1, 16) == pytest.approx(800, abs=10)


def test_offsets_and_warps_of_a_ring() -> None:
    found = by_kind(seen(PRODUCER_CONSUMER, 40, known=defines(3), smem_bytes=3 * BYTES))
    assert {k: len(v) for k, v in found.items()} == {"wait": 2, "arrive": 2, "copy": 1}
    full = {use.arrivals for use in found["copy"]}
    assert full == {2} and found["copy"][0].offsets == {0: 0}
    offsets = sorted((use.arrivals, dict(use.offsets or {})) for use in found["wait"])
    assert offsets == [(1, {0: -3}), (2, {1: 0})]
    assert {tuple((use.offsets or {}).items()) for use in found["arrive"]} == {((0, 0),), ((1, 0),)}


@pytest.mark.parametrize("turns", [40, 41, 43])
def test_copies_of_an_unrolled_loop_count_together(turns: int) -> None:
    """Four lines of PTX, and one more for what is left over, are one site: their executions follow each other."""
    known = defines(4, 16, 4)
    launch = launch_of(PRODUCER_CONSUMER, known, turns, smem_bytes=4 * BYTES)
    copies = by_kind(uses(observe(launch)))["copy"]
    assert len(copies) == (4 if turns % 4 == 0 else 5)
    assert len({use.site for use in copies}) == 1 and {use.order for use in copies} == {(0,)}
    matched = asynchronous(machine_code(PRODUCER_CONSUMER, known), launch)
    function = machine_code(PRODUCER_CONSUMER, known)
    issued = [i.index for i in function.instructions if i.opcode == "UBLKCP"]
    assert issued and all(index in matched.barriers for index in issued)


def test_unrolled_by_the_compiler_takes_as_long() -> None:
    assert cycles_per_turn(4, 400, 4) == pytest.approx(cycles_per_turn(4, 400, 1), rel=0.02)


# The first turns of the loop do without the wait: copies for them were started before it.
PROLOGUE = r"""
extern "C" __global__ void k(float* out, const char* in, int turns) {
    __shared__ __align__(128) char tiles[4][1024];
    __shared__ __align__(8) Barrier full[4], done[1];
    if (threadIdx.x == 0) { for (int s = 0; s < 4; ++s) init(full + s, 1); init(done, 64); }
    __syncthreads();
    if (threadIdx.x == 0)
        for (int i = 0; i < 3; ++i) {
            expect(full + i, 1024);
            copy(tiles[i], in, 512, full + i);
            copy(tiles[i] + 512, in, 512, full + i);
        }
#pragma unroll 1
    for (int i = 0; i < turns; ++i) {
        while (!test(full + i % 4, i / 4 & 1)) {}
        __syncthreads();
        if (threadIdx.x == 0 && i + 3 < turns) {
            expect(full + (i + 3) % 4, 1024);
            copy(tiles[(i + 3) % 4], in, 512, full + (i + 3) % 4);
            copy(tiles[(i + 3) % 4] + 512, in, 512, full + (i + 3) % 4);
        }
    }
    out[threadIdx.x] = tiles[0][threadIdx.x];
    arrive(done);
    wait(done, 0);
}
"""


def test_two_copies_of_a_slot_before_and_in_the_loop() -> None:
    found = seen(PROLOGUE, 30)
    assert not found.notes
    kinds = by_kind(found)
    assert {use.arrivals for use in kinds["copy"]} == {3}
    # Two copies for each completion, those before the loop first.
    assert {(use.site, use.order, use.jump) for use in kinds["copy"]} == {(kinds["copy"][0].site, (0, 0), 1)}
    waits = sorted(kinds["wait"], key=lambda use: use.arrivals)
    assert [use.arrivals for use in waits] == [2, 3]
    assert [use.offsets for use in waits] == [{0: 0, 1: 0}] * 2


# The first turn of a warp does without the wait that all later ones make.
PING_PONG = r"""
extern "C" __global__ void k(float* out, const char* in, int turns) {
    __shared__ __align__(8) Barrier ping[1], pong[1];
    if (threadIdx.x == 0) { init(ping, 1); init(pong, 1); }
    __syncthreads();
    float sum = threadIdx.x;
#pragma unroll 1
    for (int i = 0; i < turns; ++i) {
        if (threadIdx.x < 32) {
            if (i > 0) {
                wait(pong, i - 1 & 1);
#pragma unroll
                for (int j = 0; j < 8; ++j) sum += __shfl_xor_sync(~0u, sum, 1);
            }
            if (threadIdx.x == 0) arrive(ping);
        } else {
            wait(ping, i & 1);
            if (threadIdx.x == 32) arrive(pong);
        }
    }
    out[threadIdx.x] = sum;
}
"""


def test_first_turns_that_do_without_a_wait_come_first() -> None:
    """Were another turn taken for the first, both warps would wait for ever."""
    found, result, parameters = simulated(PING_PONG, "", 100)
    assert not found.notes and found.late
    # A turn is a hand-off there and one back.
    assert result.cycles > 100 * 2 * parameters.cycles("mbarrier_handoff_cycles")


# Which turns wait follows no rule.
IRREGULAR = r"""
extern "C" __global__ void k(float* out, const char* in, int turns) {
    __shared__ __align__(8) Barrier ring[4];
    if (threadIdx.x == 0) for (int s = 0; s < 4; ++s) init(ring + s, 1);
    __syncthreads();
    unsigned parity = 0;
#pragma unroll 1
    for (int i = 0; i < turns; ++i) {
        int slot = i & 3;
        if (threadIdx.x == 0) arrive(ring + slot);
        if (i * 2654435761u >> 29 & 1) wait(ring + slot, parity >> slot & 1);
        parity ^= 1 << slot;
        __syncthreads();
    }
    out[threadIdx.x] = parity;
}
"""


def test_what_is_irregular_is_told_and_left_out() -> None:
    found = seen(IRREGULAR, 40)
    assert [note.rule for note in found.notes] == ["barrier-use-irregular"]
    assert not found.barriers
    assert found.notes[0].location is not None
