"""Extrapolated loops against full simulation, and the memory beyond L1: latency, bandwidth, and Little's law."""

from __future__ import annotations

from itertools import pairwise

import pytest

from backends.model.sm import Repeat, Run, simulate
from backends.model.sm.costs import MemoryCost
from backends.model.sm.trace import WarpTrace
from tests.backends.model.sm.builder import function, issue_cycles, loop, parameters, run

# A tile of a product: loads into shared memory, a barrier, an inner loop of loads and FMAs, a barrier.
TILE = function(
    """
    [W0:S2] LDG.E.128 R4, [R2.64]
    [W1:S2] LDG.E.128 R8, [R2.64]
    [WAIT0:R2:S2] STS.128 [R20], R4
    [WAIT1:R3:S2] STS.128 [R21], R8
    [WAIT23:S6] BAR.SYNC.DEFER_BLOCKING 0x0

    [W0:S2] LDS.128 R12, [R22]
    [W1:S2] LDS.128 R16, [R23]
    [WAIT01:S1] FFMA R30, R12, R17, R30
    """
    + "\n".join(f"FFMA R{31 + i}, R{12 + i % 4}, R{16 + i % 4}, R{31 + i}" for i in range(30))
    + """
    [S4] IADD3 R24, R24, 0x1, RZ
    [S5] BRA 0x50

    [S6] BAR.SYNC.DEFER_BLOCKING 0x0
    [S5] BRA 0x0

    EXIT
    """
)
FROM_L2 = MemoryCost("global", "load", 16, wavefronts=4, sectors=16, l2_hit_share=0.9)
COSTS = {
    0: FROM_L2,
    1: FROM_L2,
    2: MemoryCost("shared", "store", 16, wavefronts=4),
    3: MemoryCost("shared", "store", 16, wavefronts=4),
    5: MemoryCost("shared", "load", 16, wavefronts=1),
    6: MemoryCost("shared", "load", 16, wavefronts=2),
}


def tiles(outer: int, inner: int) -> WarpTrace:
    return (Repeat((Run((0,)), Repeat((Run((1,)),), inner), Run((2,))), outer), Run((3,)))


@pytest.mark.parametrize(("outer", "inner"), [(400, 8), (15, 200), (1, 3000)])
@pytest.mark.parametrize("ctas", [1, 2])
@pytest.mark.parametrize("machine", ["a6000", "h100"])
def test_extrapolation_is_near_the_whole_simulation(outer: int, inner: int, ctas: int, machine: str) -> None:
    work = [(tiles(outer, inner),) * 4] * ctas
    known = parameters(machine)
    whole = simulate(TILE, work, COSTS, known, extrapolate=False)
    quick = simulate(TILE, work, COSTS, known)
    assert quick.is_extrapolated and quick.simulated_issues < whole.simulated_issues
    assert quick.cycles == pytest.approx(whole.cycles, rel=0.04)
    assert sum(quick.issues) == pytest.approx(sum(whole.issues), rel=0.02)
    warp_cycles = sum(whole.stall_cycles().values())
    for state, cycles in whole.stall_cycles().items():
        assert quick.stall_cycles()[state] == pytest.approx(cycles, abs=0.03 * warp_cycles)
    assert quick.bytes["l2"] == pytest.approx(whole.bytes["l2"], rel=0.02)
    assert not whole.is_extrapolated


def test_nested_loops_of_any_count_take_few_issues() -> None:
    result = simulate(TILE, [(tiles(5_000, 5_000),) * 8] * 2, COSTS, parameters())
    assert result.simulated_issues < 700_000
    assert sum(result.issues) == pytest.approx(16 * 25e6 * 35, rel=0.01)


def test_cycles_grow_with_work() -> None:
    cycles = [simulate(TILE, [(tiles(n, 8),) * 8], COSTS, parameters()).cycles for n in (100, 200, 400, 800)]
    assert [b / a for a, b in pairwise(cycles)] == pytest.approx([2, 2, 2], rel=0.03)


@pytest.mark.parametrize(("l1", "l2", "latency"), [(1.0, 1.0, 34), (0.0, 1.0, 34 + 217), (0.0, 0.0, 34 + 217 + 297)])
def test_latency_of_each_level(l1: float, l2: float, latency: int) -> None:
    """A6000: what RRZE's pointer chases give for A40, beyond an L1 hit."""
    cost = {0: MemoryCost("global", "load", 8, wavefronts=2, sectors=2, l1_hit_share=l1, l2_hit_share=l2)}
    result = run("[W0:S2] LDG.E.64 R2, [R2.64]\n[WAIT0] IADD3 R4, R2, R3, RZ", costs=cost)
    assert issue_cycles(result, 1) == [latency]
    assert result.stalls["long_scoreboard"][1] == latency - 2


@pytest.mark.parametrize(("machine", "near", "far"), [("a100", 1.0, 0), ("a100", 0.0, 194), ("b200", 0.0, 0)])
def test_far_partitions_answer_later(machine: str, near: float, far: int) -> None:
    """400 against 206 cycles on A100; a machine whose file names no partitions has none."""

    def cycles(l2_near_share: float) -> int:
        cost = {0: MemoryCost("global", "load", 4, sectors=4, l2_near_share=l2_near_share)}
        code = "[W0:S2] LDG.E R2, [R2.64]\n[WAIT0] IADD3 R4, R2, R3, RZ"
        [found] = issue_cycles(run(code, machine=machine, costs=cost), 1)
        return found

    assert cycles(near) - cycles(1.0) == far


@pytest.mark.parametrize(("sectors", "cycles"), [(32, 108 * 32 / 37), (4, 4)])
def test_the_l2_takes_parts_of_sectors_slowly(sectors: float, cycles: float) -> None:
    """A100 with all SMs at work: 37 parts of sectors in a cycle, or whole sectors as fast as one warp has them."""
    cost = MemoryCost("global", "store", 4, wavefronts=1, sectors=sectors, bytes=128, tag_passes=1)
    counts = (400, 800)
    code = function("STG.E [R2.64], R4\nBRA 0x0")
    few, many = (simulate(code, [((Repeat((Run((0,)),), n),),)], {0: cost}, parameters("a100")).cycles for n in counts)
    assert (many - few) / (counts[1] - counts[0]) == pytest.approx(cycles, rel=0.02)


def stream(warps: int, machine: str, l2: float, loads: int = 4) -> float:
    """Bytes in a cycle of warps that each keep so many 512-byte loads in flight."""
    code = "\n".join(f"[W{i}:S2] LDG.E.128 R{8 + 4 * i}, [R2.64]" for i in range(loads))
    waits = "WAIT" + "".join(map(str, range(loads)))
    cost = MemoryCost("global", "load", 16, wavefronts=4, sectors=16, l2_hit_share=l2)
    known = function(f"{code}\n[{waits}:S4] IADD3 R2, R2, 0x10, RZ")
    costs = dict.fromkeys(range(loads), cost)
    result = simulate(known, [(((loop(20_000)),),) * warps], costs, parameters(machine))
    return result.bytes["l2"] / result.cycles


@pytest.mark.parametrize("machine", ["a6000", "a100", "h100", "b200"])
def test_many_warps_reach_the_bandwidth(machine: str) -> None:
    known = parameters(machine)
    assert stream(32, machine, 1.0) == pytest.approx(known.l2_bytes_per_cycle, rel=0.02)
    assert stream(32, machine, 0.0) == pytest.approx(known.dram_bytes_per_cycle, rel=0.02)


def test_littles_law() -> None:
    """One warp: its bytes in flight over the latency."""
    known = parameters("a100")
    latency = 38 + known.l2_extra_cycles + known.dram_extra_cycles
    assert stream(1, "a100", 0.0, loads=1) == pytest.approx(512 / latency, rel=0.05)
    assert stream(2, "a100", 0.0, loads=1) == pytest.approx(1024 / latency, rel=0.1)


def test_shares_of_hits_are_met() -> None:
    code = "[W0:S2] LDG.E R4, [R2.64]\n[WAIT0:S4] IADD3 R5, R4, R3, RZ"
    cost = MemoryCost("global", "load", 4, wavefronts=1, sectors=4, l1_hit_share=0.7, l2_hit_share=0.4)
    result = run(code, [(loop(1000),)] * 4, costs={0: cost}, extrapolate=False, timeline=0)
    moved = [result.bytes[level] for level in ("l1", "l2", "dram")]
    assert moved == pytest.approx([512_000, 153_600, 92_160], rel=0.01)


def test_accesses_in_which_no_lane_takes_part_cost_no_memory() -> None:
    """An average of one sector, in a quarter of the executions, is four sectors in each of those."""
    cost = MemoryCost("global", "load", 4, wavefronts=0.25, sectors=1, tag_passes=0.25, executed_share=0.25)
    result = run("@P0 LDG.E R4, [R2.64]", [(loop(100),)], costs={0: cost}, extrapolate=False)
    assert result.bytes["l1"] == 25 * 128
    assert result.pipe_busy["lsu"] == 25 * 2


def test_throttles_by_kind_of_memory() -> None:
    far = run("\n".join(["LDG.E R4, [R2.64]"] * 20), costs=dict.fromkeys(range(20), FROM_L2))
    near = run("\n".join(["LDS R4, [R2]"] * 20), costs=dict.fromkeys(range(20), MemoryCost("shared", "load")))
    assert far.stall_cycles()["lg_throttle"] > 20 and not far.stall_cycles()["mio_throttle"]
    assert near.stall_cycles()["mio_throttle"] > 20 and not near.stall_cycles()["lg_throttle"]


def test_ctas_beyond_the_resident_ones_start_when_one_ends() -> None:
    known = function("\n".join(["[S4] FADD R1, R1, R2"] * 100))
    starts = parameters().cycles("cta_start_cycles")
    result = simulate(known, [((Run((0,)),),) * 2] * 5, {}, parameters(), resident=2)
    assert [start for start, _end in result.ctas] == sorted(start for start, _end in result.ctas)
    assert result.ctas[2][0] == pytest.approx(result.ctas[0][1] + starts, abs=1)
    assert result.cycles == pytest.approx(3 * 400 + 2 * starts, rel=0.02)


def test_stores_that_are_under_way_count() -> None:
    cost = {0: MemoryCost("global", "store", 16, wavefronts=4, sectors=16, l2_hit_share=0.0)}
    result = run("STG.E.128 [R2.64], R4\nEXIT", costs=cost)
    assert result.cycles > 400
